"""The host's side of the contract, as functions. The only module that knows the generated bindings."""

from dataclasses import dataclass

from componentize_py_types import Err
from wit_world.imports import api, clock, progress, secrets
from wit_world.imports import model


@dataclass(frozen=True)
class Secret:
    """A secret that the host keeps: it can be filled into a request or given as an output, and never be read."""

    index: int


@dataclass(frozen=True)
class NamedSecret:
    """A secret and what it is called."""

    name: str
    value: Secret


def step(message):
    """A step that is done, shown to the user: `Record created: r1`."""
    progress.step(message)


def log(message):
    """A line for the log of the deploy."""
    progress.log(message)


def checkpoint(recorded):
    """Keeps what exists so far: durable when this returns. Call it as soon as an id is known."""
    progress.checkpoint(recorded.raw())


def now_ms():
    """Milliseconds since 1970, by the host's recorded clock."""
    return clock.now_ms()


def wait(ms):
    """Waits; costs nothing of the call's processor budget."""
    clock.wait(int(ms))


def random_bytes(count):
    """Random bytes that a replay gives again; Python's own generator is the same in every instance."""
    return bytes(clock.random(count))


def compose(template, **parts):
    """A new secret out of a template: `{name}` or `{name|url}` stands for a part."""
    named = [model.NamedSecret(name, part.index) for name, part in parts.items()]
    try:
        return Secret(secrets.compose(template, named))
    except Err as error:
        raise ValueError(error.value) from None


def send(operation, params, body, fill):
    """One call, raw. `Err` when there is no reply."""
    params = [api.Param(name, value) for name, value in params]
    fill = [api.Fill(pointer, secret.index) for pointer, secret in fill]
    return api.send(api.Call(operation, params, body, fill))
