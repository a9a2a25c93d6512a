// A shop with the official OpenTelemetry SDK of Node.js: the handling of an order as a span, with a log record
// and a measurement inside it. Prints its trace id.
//
// Logs and metrics go as protobuf; traces as JSON, which is as good.

import { trace } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const resource = resourceFromAttributes({ "service.name": "shop", "service.version": "1.2.3" });

const tracing = new NodeTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
// Makes the active span known, so that what is told inside it belongs to its trace.
tracing.register();
const logs = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor(new OTLPLogExporter())],
});
const metrics = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
});

const orders = metrics.getMeter("shop").createCounter("shop.orders", { unit: "{order}" });
trace.getTracer("shop").startActiveSpan("shop.handle", { attributes: { items: 3 } }, (span) => {
  logs.getLogger("shop").emit({
    eventName: "shop.order",
    severityNumber: SeverityNumber.INFO,
    body: "a mail went to eve@example.org",
    attributes: { items: 3, outcome: "success", customer: "canary-of-eve" },
  });
  orders.add(1, { mode: "fast" });
  span.end();
  console.log(span.spanContext().traceId);
});

for (const provider of [tracing, logs, metrics]) {
  await provider.shutdown();
}
