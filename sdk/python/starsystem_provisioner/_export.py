"""What an author implements, and how it becomes a component."""

import dataclasses
import json
import traceback
from dataclasses import dataclass
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import model

from ._failure import Failure
from ._host import NamedSecret, Secret


@dataclass(frozen=True)
class Service:
    """What the user wants. `target` is the manifest's dataclass; `mark` is what proves a resource to be this service's."""

    id: str
    target: Any
    inputs: dict
    mark: str


@dataclass(frozen=True)
class Recorded:
    """What is kept about a resource: facts that `read` can see again. Never a secret, never what moves by itself."""

    id: str
    attributes: dict
    url: str | None = None
    schema: int = 1

    def raw(self):
        attributes = json.dumps(self.attributes, ensure_ascii=False)
        return model.ResourceRecord(self.id, attributes, self.url, self.schema)


@dataclass(frozen=True)
class Outcome:
    """What `apply` made: the record, credentials for other services by name, and one line for a person."""

    made: Recorded
    summary: str
    outputs: dict = dataclasses.field(default_factory=dict)


class Provisioner:
    """Makes, reads and removes one kind of resource."""

    manifest = None

    def apply(self, service, recorded):
        """Makes the resource as wanted: creates it when `recorded` is None, changes it in place otherwise.

        Applying twice is the same as applying once; `recorded` may be the checkpoint of a run that died.
        """
        raise NotImplementedError

    def read(self, service, recorded):
        """Reads the resource as it is; None when it no longer exists."""
        raise NotImplementedError

    def destroy(self, recorded):
        """Removes the resource. One that is already gone is a success."""
        raise NotImplementedError


def export(provisioner):
    """The class that componentize-py looks for: `Lifecycle = export(MyProvisioner)` in your module."""
    one = provisioner()
    # Worked out when the component is built, not at each call.
    manifest = one.manifest.json()

    class Lifecycle(exports.Lifecycle):
        def manifest(self):
            return manifest

        def apply(self, service, recorded):
            outcome = _answer(lambda: one.apply(_service(one, service), _recorded(recorded)))
            outputs = [model.NamedSecret(name, secret.index) for name, secret in outcome.outputs.items()]
            return model.Outcome(outcome.made.raw(), outputs, outcome.summary)

        def read(self, service, recorded):
            found = _answer(lambda: one.read(_service(one, service), _recorded(recorded)))
            return None if found is None else found.raw()

        def destroy(self, recorded):
            _answer(lambda: one.destroy(_recorded(recorded)))

    return Lifecycle


def _service(one, raw):
    target = json.loads(raw.target)
    wanted = one.manifest.target_class
    names = [field.name for field in dataclasses.fields(wanted)]
    inputs = {secret.name: Secret(secret.value) for secret in raw.inputs}
    return Service(raw.id, wanted(**{name: target[name] for name in names if name in target}), inputs, raw.mark)


def _recorded(raw):
    return None if raw is None else Recorded(raw.id, json.loads(raw.attributes), raw.url, raw.schema)


def _answer(call):
    """A failure becomes the contract's own; whatever else is raised becomes one that says where."""
    try:
        return call()
    except Failure as failure:
        raise _err(failure) from None
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno}, in {where.name})"
        raise _err(Failure("broken", text)) from None


def _err(failure):
    kind = model.FailureKind[failure.kind.upper()]
    details = None if failure.details is None else json.dumps(failure.details, ensure_ascii=False)
    return Err(model.Failure(kind, failure.message, failure.retry_after_ms, details))
