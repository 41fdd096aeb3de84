"""Goes through the whole contract once, as `smoke` in Rust and JavaScript do; one test drives all three.

`manifest_text` is made by `build-languages.sh` from `smoke/manifest.json`.
"""

import json

import manifest_text
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import api, clock, progress, secrets
from wit_world.imports.model import (
    Failure,
    FailureKind,
    NamedSecret,
    Outcome,
    ResourceRecord,
)


class Lifecycle(exports.Lifecycle):
    def manifest(self):
        return manifest_text.TEXT

    def apply(self, service, recorded):
        target = json.loads(service.target)
        if target.get("decline") is True:
            details = json.dumps({"why": "grüße"}, ensure_ascii=False)
            raise Err(Failure(FailureKind.DECLINED, "the target says no", 2_000_000_000, details))
        if recorded is not None:
            return Outcome(recorded, [], "nothing to change")
        progress.log(f"applying {service.id} as {service.mark}")
        body = {
            "name": target["name"],
            "mark": service.mark,
            "token": None,
            "at": clock.now_ms(),
            "nonce": list(clock.random(4)),
        }
        fill = [api.Fill("/token", secret.value) for secret in service.inputs]
        reply = ask("createThing", "project", "a/b ü", body, fill)
        if reply.status != 201:
            raise broken(f"createThing answered {reply.status}")
        made = record(json.loads(reply.body)["id"], target["name"])
        progress.checkpoint(made)
        progress.step(f"thing created: {made.id}")
        clock.wait(250)
        return Outcome(made, [url(made.id, reply)], "thing created, 1 output")

    def read(self, service, recorded):
        reply = ask("getThing", "id", recorded.id, None, [])
        if reply.status == 404:
            return None
        return record(recorded.id, json.loads(reply.body)["name"])

    def destroy(self, recorded):
        reply = ask("deleteThing", "id", recorded.id, None, [])
        if reply.status not in (204, 404):
            raise broken(f"deleteThing answered {reply.status}")


def ask(operation, name, value, body, fill):
    text = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    try:
        return api.send(api.Call(operation, [api.Param(name, value)], text, fill))
    except Err as error:
        kind = error.value.kind.name.lower().replace("_", "-")
        message = f"{kind}: {error.value.message}"
        raise Err(Failure(FailureKind.UNAVAILABLE, message, None, None)) from None


def url(thing, reply):
    password = [secret.value for secret in reply.captured if secret.name == "/password"]
    if not password:
        raise broken("there is no password")
    template = "thing://{password|url}@api.example.com/" + thing
    try:
        return NamedSecret("THING_URL", secrets.compose(template, [NamedSecret("password", password[0])]))
    except Err as error:
        raise broken(error.value) from None


def record(thing, name):
    attributes = json.dumps({"name": name}, ensure_ascii=False)
    return ResourceRecord(thing, attributes, f"https://api.example.com/things/{thing}", 1)


def broken(message):
    return Err(Failure(FailureKind.BROKEN, message, None, None))
