//! The provisioner of things, as a careful author would write it, without anything that is only for crashes but
//! looking before it makes.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use ss_core::ident::PluginName;
use ss_core::plan::TargetFacts;
use ss_core::state::PluginPin;
use ss_gate::call::{
    Call, CallFailureKind, Failure, FailureKind, Fill, NamedSecret, Outcome, Param, Reply,
    ResourceRecord, ServiceInput,
};
use ss_gate::manifest::Manifest;
use ss_ports::{CallError, HostCalls, Plugin, Provisioner, Provisioners, UnknownTarget};

/// The output that other services take.
pub const OUTPUT: &str = "PASSWORD";
/// Longer than any list lags.
const LAG_MAX_MS: u32 = 2_000;
const BETWEEN_LOOKS_MS: u32 = 500;

type Host = Box<dyn HostCalls>;

/// The provisioner.
#[derive(Clone)]
pub struct Things(Plugin);

impl Things {
    /// The only one there is.
    pub fn new() -> Self {
        let pin = PluginPin {
            name: PluginName::new("thing").expect("a valid plugin name"),
            version: "0.1.0".to_owned(),
            digest: "sha256:thing".to_owned(),
        };
        Self(Plugin { pin, manifest: Arc::new(manifest()) })
    }

    /// What a plan knows of it.
    pub fn facts(&self) -> TargetFacts {
        let immutable = BTreeSet::from(["region".to_owned()]);
        self.0.manifest.facts("thing", &self.0.pin, immutable).expect("its own target")
    }
}

impl Provisioners for Things {
    fn for_target(&self, _kind: &str) -> Result<Arc<dyn Provisioner>, UnknownTarget> {
        Ok(Arc::new(self.clone()))
    }
}

fn manifest() -> Manifest {
    let text = json!({
        "manifest": 1, "name": "thing", "version": "0.1.0", "description": "Things.",
        "targets": [{
            "type": "thing", "description": "A thing.", "schema": {"type": "object"}, "creates": "thing",
            "outputs": [{"name": OUTPUT, "description": "Its password."}]
        }],
        "credentials": [{"name": "thing.token", "description": "Ask for one.", "verify": "whoAmI"}],
        "connections": [{
            "name": "api", "base_url": "https://api.example.com/v1", "auth": {"bearer": "thing.token"},
            "operations": [
                {"name": "whoAmI", "route": "GET /me"},
                {"name": "listThings", "route": "GET /things",
                 "adopts": [{"param": "thing", "id": "/*/id", "mark": "/*/mark"}]},
                {"name": "getThing", "route": "GET /things/{thing}"},
                {"name": "getPassword", "route": "GET /things/{thing}/password", "secrets": ["/password"]},
                {"name": "createThing", "route": "POST /things", "in": ["create"], "owns": {"thing": "/id"}},
                {"name": "changeThing", "route": "PATCH /things/{thing}", "in": ["create", "update"], "fills": ["/env/*"]},
                {"name": "deleteThing", "route": "DELETE /things/{thing}", "in": ["destroy"], "destroys": true}
            ]
        }]
    });
    Manifest::parse(&text.to_string()).expect("a good manifest")
}

#[async_trait]
impl Provisioner for Things {
    fn plugin(&self) -> &Plugin {
        &self.0
    }

    async fn apply(
        &self,
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
        mut host: Host,
    ) -> Result<Outcome, CallError> {
        let host = &mut host;
        let (size, region) = (&service.target["size"], &service.target["region"]);
        let id = match recorded {
            Some(recorded) => recorded.id,
            None => ensure(host, &service.mark, region).await?,
        };
        host.checkpoint(record(&id, &Value::Null, region)).await.map_err(CallError::Aborted)?;
        let fill = service
            .inputs
            .iter()
            .map(|input| Fill { pointer: format!("/env/{}", input.name), value: input.value });
        let change = Call {
            body: Some(json!({"size": size, "env": {}}).to_string().into_bytes()),
            fill: fill.collect(),
            ..on("changeThing", &id)
        };
        insist(host, change, &[200]).await?;
        let captured = answer(host, on("getPassword", &id), &[200]).await?.captured;
        let Some(password) = captured.into_iter().next() else {
            return Err(failed(FailureKind::Broken, "there is no password"));
        };
        let outputs = vec![NamedSecret { name: OUTPUT.to_owned(), value: password.value }];
        Ok(Outcome { made: record(&id, size, region), outputs, summary: "ready".to_owned() })
    }

    async fn read(
        &self,
        _service: ServiceInput,
        recorded: ResourceRecord,
        mut host: Host,
    ) -> Result<Option<ResourceRecord>, CallError> {
        let reply = answer(&mut host, on("getThing", &recorded.id), &[200, 404]).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        answer(&mut host, on("getPassword", &recorded.id), &[200]).await?;
        let body = body(&reply);
        Ok(Some(record(&recorded.id, &body["size"], &body["region"])))
    }

    async fn destroy(&self, recorded: ResourceRecord, mut host: Host) -> Result<(), CallError> {
        insist(&mut host, on("deleteThing", &recorded.id), &[200, 404]).await.map(drop)
    }
}

/// The thing with the mark, made if there is none, made once whatever happens to the answer.
async fn ensure(host: &mut Host, mark: &str, region: &Value) -> Result<String, CallError> {
    let create = Call {
        body: Some(json!({"mark": mark, "region": region}).to_string().into_bytes()),
        ..call("createThing", &[])
    };
    let mut looks = 1;
    for _ in 0..3 {
        if let Some(id) = find(host, mark, looks).await? {
            return Ok(id);
        }
        match host.send(create.clone()).await.map_err(CallError::Aborted)? {
            Ok(reply) if reply.status == 201 => {
                return Ok(body(&reply)["id"].as_str().unwrap_or_default().to_owned());
            }
            Ok(_) => {}
            Err(failure) if failure.kind == CallFailureKind::Denied => {
                return Err(failed(FailureKind::Broken, &failure.message));
            }
            Err(_) => {}
        }
        looks = 1 + LAG_MAX_MS / BETWEEN_LOOKS_MS;
    }
    let found = find(host, mark, looks).await?;
    found.ok_or_else(|| failed(FailureKind::Unavailable, "it cannot be made"))
}

async fn find(host: &mut Host, mark: &str, looks: u32) -> Result<Option<String>, CallError> {
    for look in 0..looks {
        if look > 0 {
            host.wait(BETWEEN_LOOKS_MS).await.map_err(CallError::Aborted)?;
        }
        let list = body(&answer(host, call("listThings", &[]), &[200]).await?);
        let found = list.as_array().into_iter().flatten().find(|thing| thing["mark"] == mark);
        if let Some(id) = found.and_then(|thing| thing["id"].as_str()) {
            return Ok(Some(id.to_owned()));
        }
    }
    Ok(None)
}

/// Sends a change that may be repeated until it is answered.
async fn insist(host: &mut Host, call: Call, wanted: &[u16]) -> Result<Reply, CallError> {
    let mut last = None;
    for _ in 0..3 {
        last = Some(answer(host, call.clone(), wanted).await);
        match &last {
            Some(Err(CallError::Failed(failure))) if failure.kind == FailureKind::Unavailable => {}
            _ => break,
        }
    }
    last.expect("it was sent at least once")
}

/// Sends a call and wants one of these answers.
async fn answer(host: &mut Host, call: Call, wanted: &[u16]) -> Result<Reply, CallError> {
    let operation = call.operation.clone();
    match host.send(call).await.map_err(CallError::Aborted)? {
        Ok(reply) if wanted.contains(&reply.status) => Ok(reply),
        Ok(reply) => {
            let kind = match reply.status {
                404 => FailureKind::Conflict,
                _ => FailureKind::Unavailable,
            };
            Err(failed(kind, &format!("{operation} was answered {}", reply.status)))
        }
        Err(failure) if failure.kind == CallFailureKind::Denied => {
            Err(failed(FailureKind::Broken, &failure.message))
        }
        Err(failure) => Err(failed(FailureKind::Unavailable, &failure.message)),
    }
}

fn call(operation: &str, params: &[(&str, &str)]) -> Call {
    let params = params
        .iter()
        .map(|(name, value)| Param { name: (*name).to_owned(), value: (*value).to_owned() });
    Call { operation: operation.to_owned(), params: params.collect(), body: None, fill: Vec::new() }
}

fn on(operation: &str, id: &str) -> Call {
    call(operation, &[("thing", id)])
}

fn failed(kind: FailureKind, message: &str) -> CallError {
    let message = message.to_owned();
    CallError::Failed(Failure { kind, message, retry_after_ms: None, details: None })
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

fn record(id: &str, size: &Value, region: &Value) -> ResourceRecord {
    let attributes = json!({"size": size, "region": region});
    ResourceRecord { id: id.to_owned(), attributes, url: None, schema: 1 }
}
