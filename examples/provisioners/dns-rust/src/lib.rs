//! A record at Zonely, an imaginary DNS host.

use serde::{Deserialize, Serialize};
use starsystem_provisioner::serde_json::Value;
use starsystem_provisioner::{
    Attempt, Failure, Outcome, Provisioner, Recorded, Request, Service, checkpoint, ensure, json,
    pages, step,
};

#[derive(Deserialize)]
pub struct Target {
    zone: String,
    name: String,
    content: String,
    ttl: u32,
}

/// What is kept of a record; a checkpoint knows its zone only.
#[derive(Serialize, Deserialize)]
pub struct Attributes {
    zone: String,
    #[serde(flatten)]
    facts: Option<Facts>,
}

#[derive(Serialize, Deserialize)]
struct Facts {
    name: String,
    content: String,
    ttl: u32,
}

/// A record as Zonely shows it.
#[derive(Deserialize)]
struct Found {
    id: String,
    comment: String,
    #[serde(flatten)]
    facts: Facts,
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Found>,
    next: Option<String>,
}

pub struct Dns;

impl Provisioner for Dns {
    type Target = Target;
    type Attributes = Attributes;
    const MANIFEST: &str = include_str!("../manifest.json");

    fn apply(
        service: Service<Target>,
        recorded: Option<Recorded<Attributes>>,
    ) -> Result<Outcome<Attributes>, Failure> {
        let zone = &service.target.zone;
        let id = match recorded {
            Some(recorded) => recorded.id,
            None => {
                let id = ensure(|| find(zone, &service.mark), || create(&service))?.into_inner();
                checkpoint(&Recorded::new(&id, Attributes { zone: zone.clone(), facts: None }));
                id
            }
        };
        if get(zone, &id)?.is_none() {
            let text =
                format!("record {id} was deleted meanwhile; `ss deploy --refresh` makes it again");
            return Err(Failure::conflict(text));
        }
        let request = Request::new("updateRecord").param("zone", zone).param("record", &id);
        let reply = request.json(&wanted(&service)).send()?.success("update the record")?;
        let token = reply.require_secret("/update_token")?;
        let made = record_of(zone, reply.json()?);
        Ok(Outcome::new(made, "record ready").output("DNS_UPDATE_TOKEN", token))
    }

    fn read(
        _: Service<Target>,
        recorded: Recorded<Attributes>,
    ) -> Result<Option<Recorded<Attributes>>, Failure> {
        let zone = &recorded.attributes.zone;
        Ok(get(zone, &recorded.id)?.map(|found| record_of(zone, found)))
    }

    fn destroy(recorded: Recorded<Attributes>) -> Result<(), Failure> {
        let request = Request::new("deleteRecord").param("zone", &recorded.attributes.zone);
        let reply = request.param("record", &recorded.id).send()?;
        if reply.status == 404 { Ok(()) } else { reply.success("delete the record").map(drop) }
    }
}

fn wanted(service: &Service<Target>) -> Value {
    let Target { name, content, ttl, .. } = &service.target;
    json!({"name": name, "content": content, "ttl": ttl, "comment": service.mark})
}

fn find(zone: &str, mark: &str) -> Result<Option<String>, Failure> {
    let all = pages(|cursor| {
        let reply =
            Request::new("listRecords").param("zone", zone).maybe("cursor", cursor).send()?;
        let page: Page = reply.success("list the records")?.json()?;
        Ok((page.records, page.next))
    })?;
    Ok(all.into_iter().find(|found| found.comment == mark).map(|found| found.id))
}

fn create(service: &Service<Target>) -> Result<String, Attempt> {
    let request = Request::new("createRecord").param("zone", &service.target.zone);
    let found: Found =
        request.json(&wanted(service)).send()?.created("create the record")?.json()?;
    step!("Record created: {}", found.id);
    Ok(found.id)
}

fn get(zone: &str, id: &str) -> Result<Option<Found>, Failure> {
    let reply = Request::new("getRecord").param("zone", zone).param("record", id).send()?;
    if reply.status == 404 {
        return Ok(None);
    }
    Ok(Some(reply.success("read the record")?.json()?))
}

fn record_of(zone: &str, found: Found) -> Recorded<Attributes> {
    Recorded::new(found.id, Attributes { zone: zone.to_owned(), facts: Some(found.facts) })
}

starsystem_provisioner::export!(Dns);

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use starsystem_provisioner::testing::{self, Phase, Script};

    #[test]
    fn a_lost_answer_is_looked_for() {
        let record = json!({"id": "r1", "name": "www", "content": "192.0.2.1", "ttl": 300, "comment": "ss-test",
            "update_token": "token-of-r1"});
        let mut script = Script::new(Dns::MANIFEST, Phase::Create);
        script.on("listRecords").reply(200, json!({"records": [], "next": null}));
        script.on("createRecord").body("/name", "www").lost();
        script.on("listRecords").reply(200, json!({"records": [record], "next": null}));
        script.on("getRecord").param("record", "r1").reply(200, record.clone());
        script.on("updateRecord").param("record", "r1").reply(200, record.clone());
        let target = json!({"zone": "example.org", "name": "www", "content": "192.0.2.1"});
        let run = script.run(|| Dns::apply(testing::service::<Dns>("www", target), None));
        let outcome = run.result.as_ref().expect("a record");
        assert_eq!(outcome.made.id, "r1");
        assert_eq!(run.reveal(outcome.outputs[0].value), "token-of-r1");
    }
}
