"""An OTLP/HTTP receiver: decodes what arrives with the official protobuf package and writes one JSON line a request.

Usage: otlp_receiver.py OUTPUT. Prints its port. Ends when standard input does.
"""

import base64
import gzip
import http.server
import json
import sys
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

OUTPUT = sys.argv[1]
LOCK = threading.Lock()


def with_base64_ids(value):
    """OTLP's JSON writes ids in hexadecimal where protobuf's JSON has base64."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(found)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else with_base64_ids(found)
            for key, found in value.items()
        }
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    return value


def decode(kind, body):
    request = trace_service_pb2.ExportTraceServiceRequest()
    if kind == "application/x-protobuf":
        request.ParseFromString(body)
        if request.SerializeToString() == b"" and body:
            raise ValueError("nothing in it")
    elif kind == "application/json":
        json_format.ParseDict(with_base64_ids(json.loads(body)), request)
    else:
        raise ValueError(f"the content type is {kind}")
    return request


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def spans(request):
    for of_resource in request.resource_spans:
        resource = attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield {
                    "resource": resource,
                    "scope": of_scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": span.kind,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "attributes": attributes(span.attributes),
                    "events": [event.name for event in span.events],
                    "status": span.status.code,
                    "message": span.status.message,
                }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        encoding = self.headers.get("content-encoding", "")
        plain = gzip.decompress(body) if encoding == "gzip" else body
        kind = self.headers["content-type"]
        found = list(spans(decode(kind, plain)))
        line = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "spans": found}
        with LOCK, open(OUTPUT, "a", encoding="utf-8") as output:
            output.write(json.dumps(line) + "\n")
        answer = b"" if kind == "application/x-protobuf" else b"{}"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
