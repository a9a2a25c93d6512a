"""A shop with the official OpenTelemetry SDK of Python: the handling of an order as a span, with a log record
and a measurement inside it. Prints its trace id.
"""

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

resource = Resource({"service.name": "shop", "service.version": "1.2.3"})

tracing = TracerProvider(resource=resource)
tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
metrics = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])

orders = metrics.get_meter("shop").create_counter("shop.orders", unit="{order}")
with tracing.get_tracer("shop").start_as_current_span("shop.handle", attributes={"items": 3}) as span:
    logs.get_logger("shop").emit(
        LogRecord(
            event_name="shop.order",
            severity_number=SeverityNumber.INFO,
            body="a mail went to eve@example.org",
            attributes={"items": 3, "outcome": "success", "customer": "canary-of-eve"},
        )
    )
    orders.add(1, {"mode": "fast"})
print(f"{span.get_span_context().trace_id:032x}", flush=True)

for provider in (tracing, logs, metrics):
    provider.shutdown()
