"""Write a provisioner for `ss` in Python.

A provisioner speaks operations of its own manifest and never sees a URL, a token or a socket. This package is thin: the
bindings (`wit_world`) are generated from the contract when the component is built; what is here makes them idiomatic.
"""

from ._call import CallError, Reply, Request
from ._export import Outcome, Provisioner, Recorded, Service, export
from ._failure import Failure
from ._host import NamedSecret, Secret, checkpoint, compose, log, now_ms, random_bytes, step, wait
from ._loops import ensure, pages, poll
from ._manifest import Manifest, field, operation

__all__ = [
    "CallError", "Failure", "Manifest", "NamedSecret", "Outcome", "Provisioner", "Recorded", "Reply", "Request",
    "Secret", "Service", "checkpoint", "compose", "ensure", "export", "field", "log", "now_ms", "operation", "pages",
    "poll", "random_bytes", "step", "wait",
]
