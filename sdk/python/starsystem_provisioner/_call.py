"""Calling an operation of the manifest, and reading the answer."""

import json

from componentize_py_types import Err

from . import _host
from ._failure import Failure

_AFTER = {"denied": "declined", "too-large": "broken"}


class CallError(Failure):
    """There is no reply. `reason`: denied, timed-out, unreachable, too-large or outcome-unknown.

    It is a failure too: not caught, it ends the call as it should.
    """

    def __init__(self, reason, message):
        super().__init__(_AFTER.get(reason, "unavailable"), message)
        self.reason = reason


class Request:
    """One call of a declared operation: `Request("getRecord", zone="z", record="r").send()`."""

    def __init__(self, operation, **params):
        self.operation = operation
        self._params = [(name, str(value)) for name, value in params.items() if value is not None]
        self._body = None
        self._fill = []

    def json(self, body):
        """Sets the body."""
        self._body = json.dumps(body, ensure_ascii=False).encode()
        return self

    def fill(self, pointer, secret):
        """Puts a secret into the body at a JSON pointer."""
        self._fill.append((pointer, secret))
        return self

    def send(self):
        """Sends it and waits for the answer, whatever its status. Raises `CallError` when there is none."""
        try:
            reply = _host.send(self.operation, self._params, self._body, self._fill)
        except Err as error:
            reason = error.value.kind.name.lower().replace("_", "-")
            raise CallError(reason, error.value.message) from None
        return Reply(self.operation, reply)


class Reply:
    """The vendor's answer: a 404 is a reply, not an error."""

    def __init__(self, operation, raw):
        self.operation = operation
        self.status = raw.status
        self.body = bytes(raw.body)
        self._headers = {header.name: header.value for header in raw.headers}
        self._captured = {secret.name: _host.Secret(secret.value) for secret in raw.captured}

    def header(self, name):
        """A header that the operation declares, or `retry-after`."""
        return self._headers.get(name)

    def secret(self, pointer):
        """The secret that stood at this JSON pointer."""
        if pointer not in self._captured:
            raise Failure("broken", f"{self.operation}: the answer has no secret at {pointer}")
        return self._captured[pointer]

    def json(self):
        """The body, which must be JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failure("broken", f"{self.operation}: the answer is no JSON") from None

    def expect(self, what, *statuses):
        """The reply itself when its status is one of these (or any 2xx), else the failure that it means."""
        if self.status in statuses or (not statuses and 200 <= self.status < 300):
            return self
        raise self._failure(what)

    def _failure(self, what):
        message = f"{what}: the vendor answered {self.status}{self._said()}"
        if self.status in (401, 403):
            return Failure("unauthorized", message)
        if self.status in (400, 422):
            return Failure("invalid", message)
        if self.status == 402:
            return Failure("declined", message)
        if self.status == 409:
            return Failure("conflict", message)
        if self.status in (408, 423, 429) or self.status >= 500:
            return Failure("unavailable", message, self._retry_after_ms())
        return Failure("broken", message)

    def _said(self):
        try:
            said = json.loads(self.body)
        except ValueError:
            return ""
        message = said.get("message") or said.get("error") if isinstance(said, dict) else None
        return f": {message}" if isinstance(message, str) else ""

    def _retry_after_ms(self):
        after = self.header("retry-after")
        return int(after) * 1000 if after and after.isdigit() and len(after) < 6 else None
