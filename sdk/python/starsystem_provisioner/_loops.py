"""The three loops that every provisioner needs: make once, wait until, and read all pages."""

from . import _host
from ._call import CallError
from ._failure import Failure

_CREATE_ATTEMPTS = 3
# Waits before each look after a lost answer: vendors' lists lag behind.
_LOOKS_MS = (500, 1_000, 2_000, 4_000, 8_000)
_PAGES_MAX = 1_000


def ensure(find, create):
    """Makes something exactly once, and gives it.

    Looks first, because an earlier run may have made it and died. Then creates. When the answer is lost or cannot be
    read, or the vendor says that it exists already, looks several times over some seconds; only what is surely absent is
    created again. `find` gives None when there is none; it must recognise its own by the mark, never by name alone.
    """
    found = find()
    if found is not None:
        return found
    last = None
    for _ in range(_CREATE_ATTEMPTS):
        try:
            return create()
        except Failure as failure:
            last = failure
        unknown = last.kind == "broken" or (
            isinstance(last, CallError) and last.reason in ("outcome-unknown", "too-large")
        )
        if not unknown and last.kind != "conflict":
            raise last
        _host.log(f"{last.message}; looking whether it exists")
        for ms in _LOOKS_MS:
            _host.wait(ms)
            found = find()
            if found is not None:
                return found
        if not unknown:
            raise last
    raise last


def poll(patience_ms, interval_ms, ask):
    """Asks until the answer is not None, or patience is over (None). Asks at least once, and once more at the end."""
    deadline = _host.now_ms() + patience_ms
    while True:
        now = _host.now_ms()
        answer = ask()
        if answer is not None:
            return answer
        if now >= deadline:
            return None
        _host.wait(min(interval_ms, deadline - now))


def pages(page):
    """Every item of every page. `page(cursor)` gives the items and the next cursor; the first cursor is None."""
    cursor, seen = None, 0
    while seen < _PAGES_MAX:
        items, following = page(cursor)
        yield from items
        if not following or following == cursor:
            return
        cursor, seen = following, seen + 1
    raise Failure("broken", f"the list has no end: gave up after {_PAGES_MAX} pages")
