"""A record at Zonely, an imaginary DNS host."""

from dataclasses import dataclass

from starsystem_provisioner import (
    Failure, Manifest, Outcome, Provisioner, Recorded, Request, checkpoint, ensure, export, field, operation, pages, step,
)

RECORDS = "/zones/{zone}/records"
RECORD = "/zones/{zone}/records/{record}"


@dataclass
class Target:
    zone: str = field("The zone that the record is in: example.org.", immutable=True)
    name: str = field("The record's name within the zone: www.")
    content: str = field("The address it leads to.")
    ttl: int = field("How many seconds an answer may be kept.", default=300, minimum=60)


class Dns(Provisioner):
    manifest = (
        Manifest("dns-python", "0.1.0", "Records at Zonely, an imaginary DNS host; written in Python.")
        .target("dns-python", Target, description="One DNS record.", creates="record {name} in {zone}",
                outputs={"DNS_UPDATE_TOKEN": "With it a machine may update the record by itself."})
        .credential("dns-python.api_token", "A Zonely token, from its settings page.", verify="whoAmI")
        .connection("dns-python-api", "https://api.zonely.example/v1", bearer="dns-python.api_token", operations=[
            operation("whoAmI", "GET /me"),
            operation("listRecords", f"GET {RECORDS}", query=["cursor"],
                      adopts=[{"param": "record", "id": "/records/*/id", "mark": "/records/*/comment"}]),
            operation("getRecord", f"GET {RECORD}", secrets=["/update_token"],
                      adopts=[{"param": "record", "mark": "/comment"}]),
            operation("createRecord", f"POST {RECORDS}", during=["create"], owns={"record": "/id"}, secrets=["/update_token"]),
            operation("updateRecord", f"PATCH {RECORD}", during=["create", "update"], repeatable=True, secrets=["/update_token"]),
            operation("deleteRecord", f"DELETE {RECORD}", during=["destroy"], destroys=True, repeatable=True),
        ])
    )

    def apply(self, service, recorded):
        zone = service.target.zone
        if recorded is None:
            id = ensure(lambda: find(zone, service.mark), lambda: create(service))
            recorded = Recorded(id, {"zone": zone})
            checkpoint(recorded)
        if get(zone, recorded.id) is None:
            raise Failure("conflict", f"record {recorded.id} was deleted meanwhile; `ss drift` shows it, `ss deploy --refresh` makes it again")
        reply = Request("updateRecord", zone=zone, record=recorded.id).json(wanted(service)).send().expect("update the record")
        made = record_of(zone, reply.json())
        return Outcome(made, "record ready", {"DNS_UPDATE_TOKEN": reply.secret("/update_token")})

    def read(self, service, recorded):
        found = get(recorded.attributes["zone"], recorded.id)
        return None if found is None else record_of(recorded.attributes["zone"], found)

    def destroy(self, recorded):
        Request("deleteRecord", zone=recorded.attributes["zone"], record=recorded.id).send().expect("delete the record", 204, 404)


def wanted(service):
    target = service.target
    return {"name": target.name, "content": target.content, "ttl": target.ttl, "comment": service.mark}


def find(zone, mark):
    def page(cursor):
        reply = Request("listRecords", zone=zone, cursor=cursor).send().expect("list the records").json()
        return reply["records"], reply["next"]

    return next((record["id"] for record in pages(page) if record["comment"] == mark), None)


def create(service):
    reply = Request("createRecord", zone=service.target.zone).json(wanted(service)).send().expect("create the record")
    id = reply.json()["id"]
    step(f"Record created: {id}")
    return id


def get(zone, id):
    reply = Request("getRecord", zone=zone, record=id).send().expect("read the record", 200, 404)
    return None if reply.status == 404 else reply.json()


def record_of(zone, found):
    facts = {name: found[name] for name in ("name", "content", "ttl")}
    return Recorded(found["id"], {"zone": zone, **facts})


Lifecycle = export(Dns)
