"""The manifest, written in Python; the target's JSON Schema comes from a dataclass."""

import dataclasses
import json

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def field(description, *, default=dataclasses.MISSING, immutable=False, **schema):
    """A field of the target. `immutable`: a change means a new resource. More keys are JSON Schema: `minimum=1`."""
    metadata = {"description": description, **({"x-immutable": True} if immutable else {}), **schema}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata={**metadata, "default": default})


def schema_of(target):
    """The JSON Schema of a dataclass."""
    fields = dataclasses.fields(target)
    for one in fields:
        if one.type not in _TYPES:
            raise TypeError(f"{target.__name__}.{one.name}: a field is str, int, float or bool")
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {one.name: {"type": _TYPES[one.type], **one.metadata} for one in fields},
        "required": [one.name for one in fields if "default" not in one.metadata],
    }


def operation(name, route, **more):
    """An operation. `during` stands for the manifest's `in`, which is a word of Python's own."""
    if "during" in more:
        more["in"] = more.pop("during")
    return {"name": name, "route": route, **more}


class Manifest:
    """What a provisioner says of itself. Each method gives the manifest back."""

    def __init__(self, name, version, description):
        self.document = {
            "manifest": 1, "name": name, "version": version, "description": description,
            "targets": [], "credentials": [], "connections": [],
        }
        self.target_class = None

    def target(self, kind, target, *, description, creates, outputs=None, data=False):
        """What can stand below `target:`; `target` is a dataclass of `field`s."""
        outputs = [{"name": name, "description": text} for name, text in (outputs or {}).items()]
        self.document["targets"].append({
            "type": kind, "description": description, "schema": schema_of(target), "creates": creates,
            "data": data, "outputs": outputs,
        })
        self.target_class = target
        return self

    def credential(self, name, description, *, verify=None):
        """A provider credential; `verify` is a GET operation that succeeds exactly when it is good."""
        more = {"verify": verify} if verify else {}
        self.document["credentials"].append({"name": name, "description": description, **more})
        return self

    def connection(self, name, base_url, operations, *, bearer=None):
        """An API: its address, the credential that goes with each request, and what can be asked of it."""
        auth = {"auth": {"bearer": bearer}} if bearer else {}
        self.document["connections"].append(
            {"name": name, "base_url": base_url, **auth, "operations": operations}
        )
        return self

    def json(self):
        """The document."""
        return json.dumps(self.document, ensure_ascii=False)
