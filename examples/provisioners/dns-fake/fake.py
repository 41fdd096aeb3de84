"""Zonely, an imaginary DNS host, as small as an API can be and still have what makes real ones hard.

    python3 fake.py PORT

Records have ids that the server chooses, names need not be unique, a list has pages of two unless `limit` says more, and each record has a token
with which a machine may update it: a secret. `Authorization: Bearer test-token` goes with every request.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock
from urllib.parse import parse_qs, urlsplit

PAGE = 2
FIELDS = {"name", "content", "ttl", "comment"}
records = {}
numbers = count(1)
lock = Lock()


class Zonely(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together; else each answer waits for an acknowledgement.
    wbufsize = -1

    def answer(self, status, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        url = urlsplit(self.path)
        if self.headers.get("authorization") != "Bearer test-token":
            return self.answer(401, {"message": "who are you?"})
        match [self.command, *url.path.strip("/").split("/")]:
            case ["GET", "v1", "me"]:
                self.answer(200, {"account": "test"})
            case ["GET", "v1", "zones", zone, "records"]:
                self.answer(200, page(zone, parse_qs(url.query)))
            case ["POST", "v1", "zones", zone, "records"]:
                self.answer(*create(zone, body))
            case ["GET", "v1", "zones", zone, "records", id]:
                self.answer(*get(zone, id))
            case ["PATCH", "v1", "zones", zone, "records", id]:
                self.answer(*change(zone, id, body))
            case ["DELETE", "v1", "zones", zone, "records", id]:
                self.answer(*delete(zone, id))
            case _:
                self.answer(404, {"message": "no such path"})

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any

    def log_message(self, *_):
        pass


def page(zone, query):
    cursor, limit = query.get("cursor", [""])[0], int(query.get("limit", [PAGE])[0])
    with lock:
        here = [record for record in records.values() if record["zone"] == zone and record["id"] > cursor]
    shown = sorted(here, key=lambda record: record["id"])
    following = shown[limit - 1]["id"] if len(shown) > limit else None
    without = [{key: value for key, value in record.items() if key != "update_token"} for record in shown[:limit]]
    return {"records": without, "next": following}


def create(zone, body):
    if not body.get("name") or not body.get("content") or set(body) - FIELDS:
        return 422, {"message": "a record has name, content, ttl and comment"}
    with lock:
        id = f"r{next(numbers):06}"
        records[id] = {"ttl": 300, "comment": "", **body, "id": id, "zone": zone, "update_token": f"token-of-{id}-9f27"}
        return 201, records[id]


def get(zone, id):
    with lock:
        record = records.get(id)
    return (200, record) if record and record["zone"] == zone else (404, {"message": "no such record"})


def change(zone, id, body):
    status, record = get(zone, id)
    if status == 200 and set(body) <= FIELDS:
        with lock:
            record.update(body)
    return status, record


def delete(zone, id):
    status, answer = get(zone, id)
    if status == 200:
        with lock:
            records.pop(id, None)
        return 204, None
    return status, answer


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Zonely).serve_forever()
