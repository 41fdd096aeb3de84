//! Goes through the whole contract once. `python/smoke.py` and `js/smoke.js` do the same, and one test drives all three.

use guest::api::{Call, CallFailureKind, Fill, Param, Reply, send};
use guest::model::{FailureKind, NamedSecret};
use guest::{Failure, Guest, Outcome, ResourceRecord, Service, clock, progress, secrets};
use serde_json::{Value, json};

struct Smoke;

impl Guest for Smoke {
    fn manifest() -> String {
        include_str!("manifest.json").to_owned()
    }

    fn apply(service: Service, recorded: Option<ResourceRecord>) -> Result<Outcome, Failure> {
        let target = parse(service.target.as_bytes())?;
        if target["decline"] == true {
            return Err(declined());
        }
        if let Some(recorded) = recorded {
            let summary = "nothing to change".to_owned();
            return Ok(Outcome { made: recorded, outputs: Vec::new(), summary });
        }
        progress::log(&format!("applying {} as {}", service.id, service.mark));
        let body = json!({
            "name": target["name"],
            "mark": service.mark,
            "token": null,
            "at": clock::now_ms(),
            "nonce": clock::random(4),
        });
        let fill = service
            .inputs
            .iter()
            .map(|input| Fill { pointer: "/token".to_owned(), value: input.value });
        let reply = ask("createThing", ("project", "a/b ü"), Some(body), fill.collect())?;
        if reply.status != 201 {
            return Err(broken(format!("createThing answered {}", reply.status)));
        }
        let id = parse(&reply.body)?["id"].as_str().unwrap_or_default().to_owned();
        let made = record(&id, &target["name"]);
        progress::checkpoint(&made);
        progress::step(&format!("thing created: {id}"));
        clock::wait(250);
        let outputs = vec![url(&id, &reply)?];
        Ok(Outcome { made, outputs, summary: "thing created, 1 output".to_owned() })
    }

    fn read(_: Service, recorded: ResourceRecord) -> Result<Option<ResourceRecord>, Failure> {
        let reply = ask("getThing", ("id", &recorded.id), None, Vec::new())?;
        if reply.status == 404 {
            return Ok(None);
        }
        Ok(Some(record(&recorded.id, &parse(&reply.body)?["name"])))
    }

    fn destroy(recorded: ResourceRecord) -> Result<(), Failure> {
        let reply = ask("deleteThing", ("id", &recorded.id), None, Vec::new())?;
        match reply.status {
            204 | 404 => Ok(()),
            status => Err(broken(format!("deleteThing answered {status}"))),
        }
    }
}

fn ask(
    operation: &str,
    (name, value): (&str, &str),
    body: Option<Value>,
    fill: Vec<Fill>,
) -> Result<Reply, Failure> {
    let call = Call {
        operation: operation.to_owned(),
        params: vec![Param { name: name.to_owned(), value: value.to_owned() }],
        body: body.map(|body| body.to_string().into_bytes()),
        fill,
    };
    send(&call).map_err(|failure| {
        let kind = match failure.kind {
            CallFailureKind::Denied => "denied",
            CallFailureKind::TimedOut => "timed-out",
            CallFailureKind::Unreachable => "unreachable",
            CallFailureKind::TooLarge => "too-large",
            CallFailureKind::OutcomeUnknown => "outcome-unknown",
        };
        let message = format!("{kind}: {}", failure.message);
        Failure { kind: FailureKind::Unavailable, message, retry_after_ms: None, details: None }
    })
}

fn url(id: &str, reply: &Reply) -> Result<NamedSecret, Failure> {
    let password = reply.captured.iter().find(|secret| secret.name == "/password");
    let password = password.ok_or_else(|| broken("there is no password".to_owned()))?;
    let parts = [NamedSecret { name: "password".to_owned(), value: password.value }];
    let template = format!("thing://{{password|url}}@api.example.com/{id}");
    let value = secrets::compose(&template, &parts).map_err(broken)?;
    Ok(NamedSecret { name: "THING_URL".to_owned(), value })
}

fn record(id: &str, name: &Value) -> ResourceRecord {
    ResourceRecord {
        id: id.to_owned(),
        attributes: json!({ "name": name }).to_string(),
        url: Some(format!("https://api.example.com/things/{id}")),
        schema: 1,
    }
}

fn parse(document: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(document).map_err(|error| broken(error.to_string()))
}

fn declined() -> Failure {
    Failure {
        kind: FailureKind::Declined,
        message: "the target says no".to_owned(),
        retry_after_ms: Some(2_000_000_000),
        details: Some(json!({ "why": "grüße" }).to_string()),
    }
}

fn broken(message: String) -> Failure {
    Failure { kind: FailureKind::Broken, message, retry_after_ms: None, details: None }
}

guest::export!(Smoke);
