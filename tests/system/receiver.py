"""An OTLP/HTTP receiver that shares no code with Candor: TLS by Python, messages by PyPI's opentelemetry-proto.

usage: receiver.py CERTIFICATE KEY OUTPUT   (prints its port; writes one JSON object a record to OUTPUT)
"""

import gzip
import http.server
import json
import ssl
import sys
import threading

import zstandard
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace

REQUESTS = {
    "/v1/logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
    "/v1/metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
    "/v1/traces": (trace.ExportTraceServiceRequest, trace.ExportTraceServiceResponse),
}


def decompress(body, encoding):
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return gzip.decompress(body) if encoding == "gzip" else body


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind) if kind and kind != "bytes_value" else None


def attributes(items):
    return {item.key: plain(item.value) for item in items}


def records(path, request):
    """Every record with the attributes that identify it, and where it stood."""
    if path == "/v1/logs":
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    yield resource, scope, record.event_name, attributes(record.attributes), 0
    elif path == "/v1/metrics":
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = getattr(metric, metric.WhichOneof("data")).data_points
                    yield resource, scope, metric.name, attributes(metric.metadata), len(points)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request_type, response_type = REQUESTS[self.path]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = request_type()
        try:
            request.ParseFromString(decompress(body, self.headers.get("Content-Encoding")))
        except DecodeError:
            # Of a zstd body in several frames this library reads the first: the agent asks again in one.
            self.answer(400, b"")
            return
        with self.server.lock:
            for resource, scope, name, found, points in records(self.path, request):
                line = {
                    "path": self.path,
                    "name": name,
                    "points": points,
                    "attributes": found,
                    "resource": attributes(resource.resource.attributes),
                    "scope": attributes(scope.scope.attributes),
                    # What this reading of the protocol does not know would be kept here.
                    "unknown": len(request.SerializeToString()) != request.ByteSize(),
                }
                self.server.output.write(json.dumps(line) + "\n")
            self.server.output.flush()
        self.answer(200, response_type().SerializeToString())

    def answer(self, status, answer):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


def main():
    certificate, key, output = sys.argv[1:4]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.lock = threading.Lock()
    with open(output, "w", encoding="utf-8") as server.output:
        print(server.server_address[1], flush=True)
        server.serve_forever()


main()
