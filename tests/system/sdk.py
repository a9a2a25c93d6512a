"""A program with the official OpenTelemetry SDK of Python: one span with a log record and a measurement inside
it, sent by the OTLP/HTTP exporters.

usage: sdk.py http://127.0.0.1:PORT   (prints its trace id)
"""

import sys

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

endpoint = sys.argv[1]
resource = Resource({"service.name": "shop", "service.version": "1.2.3"})

tracing = TracerProvider(resource=resource)
tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint + "/v1/traces")))
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint + "/v1/logs")))
reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint + "/v1/metrics"))
metrics = MeterProvider(resource=resource, metric_readers=[reader])

counter = metrics.get_meter("tests").create_counter("shop.orders", unit="{order}")
with tracing.get_tracer("tests").start_as_current_span("shop.handle") as span:
    context = span.get_span_context()
    logs.get_logger("tests").emit(
        LogRecord(
            event_name="shop.order",
            severity_number=SeverityNumber.INFO,
            body="mail to eve@example.org",
            attributes={"n": 7, "customer": "canary-of-eve"},
        )
    )
    counter.add(3, {"mode": "fast"})
print(f"{context.trace_id:032x}", flush=True)

for provider in (tracing, logs, metrics):
    provider.shutdown()
