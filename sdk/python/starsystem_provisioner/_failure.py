"""Why a call did not succeed, and whose turn it is."""

KINDS = ("invalid", "unauthorized", "declined", "conflict", "unavailable", "broken")


class Failure(Exception):
    """Raise it to end a call. The message says in one or two sentences what happened and what to do.

    invalid: the user's configuration cannot work. unauthorized: the credential is missing, wrong or lacks a right.
    declined: the vendor refuses (a quota, a policy). conflict: it exists already, or changed meanwhile.
    unavailable: the same call may work later. broken: the resource or the answer is not as it should be.
    """

    def __init__(self, kind, message, retry_after_ms=None, details=None):
        if kind not in KINDS:
            raise ValueError(f"a failure is one of {', '.join(KINDS)}, not {kind!r}")
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.details = details
