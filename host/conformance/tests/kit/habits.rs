//! A provisioner of things, careful or with one bad habit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use ss_core::ident::PluginName;
use ss_core::state::PluginPin;
use ss_gate::call::{
    Call, CallFailureKind, Failure, FailureKind, NamedSecret, Outcome, Param, Reply,
    ResourceRecord, ServiceInput,
};
use ss_gate::manifest::Manifest;
use ss_ports::{CallError, HostCalls, Plugin, Provisioner};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Careful,
    CreatesBlindly,
    LooksOnce,
    Unwraps,
    BlamesTheUser,
    TakesTroubleForGone,
    RecordsNoise,
    EchoesTheRecord,
    MindsGone,
    DestroysNothing,
}

/// The provisioner.
pub struct Maker {
    habit: Habit,
    plugin: Plugin,
    calls: AtomicU32,
}

type Answer = Result<Reply, CallError>;
type Host = Box<dyn HostCalls>;

fn manifest() -> Manifest {
    let document = json!({
        "manifest": 1, "name": "things", "version": "0.1.0", "description": "Things.",
        "targets": [{
            "type": "thing", "description": "A thing.", "creates": "thing of {size}",
            "outputs": [{"name": "THING_KEY", "description": "Its key."}],
            "schema": {"type": "object", "properties": {
                "size": {"type": "integer"}, "place": {"type": "string", "x-immutable": true}}}
        }],
        "credentials": [{"name": "things.token", "description": "A token."}],
        "connections": [{
            "name": "things", "base_url": "https://things.example.com", "auth": {"bearer": "things.token"},
            "operations": [
                {"name": "listThings", "route": "GET /things", "secrets": ["/things/*/key"],
                 "adopts": [{"param": "id", "id": "/things/*/id", "mark": "/things/*/mark"}]},
                {"name": "getThing", "route": "GET /things/{id}", "secrets": ["/key"]},
                {"name": "createThing", "route": "POST /things", "in": ["create"], "owns": {"id": "/id"}, "secrets": ["/key"]},
                {"name": "changeThing", "route": "PUT /things/{id}", "in": ["create", "update"], "secrets": ["/key"]},
                {"name": "deleteThing", "route": "DELETE /things/{id}", "in": ["destroy"], "destroys": true},
            ]
        }]
    });
    Manifest::parse(&document.to_string()).expect("a manifest")
}

impl Maker {
    pub fn new(habit: Habit) -> Self {
        let pin = PluginPin {
            name: PluginName::new("things").expect("a name"),
            version: "0.1.0".to_owned(),
            digest: "sha256:0".to_owned(),
        };
        Self {
            habit,
            plugin: Plugin { pin, manifest: Arc::new(manifest()) },
            calls: AtomicU32::new(0),
        }
    }

    async fn ask(
        &self,
        host: &mut Host,
        operation: &str,
        id: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let params = id.map(|id| Param { name: "id".to_owned(), value: id.to_owned() });
        let call = Call {
            operation: operation.to_owned(),
            params: params.into_iter().collect(),
            body: body.map(|body| body.to_string().into_bytes()),
            fill: Vec::new(),
        };
        match host.send(call).await.map_err(CallError::Aborted)? {
            Ok(reply) => Ok(reply),
            Err(failure) if failure.kind == CallFailureKind::OutcomeUnknown => {
                Err(failed(FailureKind::Broken, "lost"))
            }
            Err(failure) => Err(failed(FailureKind::Unavailable, &failure.message)),
        }
    }

    fn expect(&self, reply: &Reply) -> Result<(), CallError> {
        match reply.status {
            200..300 => Ok(()),
            _ if self.habit == Habit::BlamesTheUser => {
                Err(failed(FailureKind::Invalid, "wrong configuration"))
            }
            status => Err(failed(FailureKind::Unavailable, &format!("status {status}"))),
        }
    }

    fn body(&self, reply: &Reply) -> Result<Value, CallError> {
        serde_json::from_slice(&reply.body).map_err(|_| match self.habit {
            Habit::Unwraps => {
                CallError::Trapped { message: "unreachable".to_owned(), stderr: String::new() }
            }
            _ => failed(FailureKind::Broken, "no JSON"),
        })
    }

    async fn find(&self, host: &mut Host, mark: &str) -> Result<Option<String>, CallError> {
        let reply = self.ask(host, "listThings", None, None).await?;
        self.expect(&reply)?;
        let all = self.body(&reply)?;
        let things = all["things"].as_array().cloned().unwrap_or_default();
        let own = things.iter().find(|thing| thing["mark"] == mark);
        Ok(own.and_then(|thing| thing["id"].as_str().map(str::to_owned)))
    }

    async fn create(&self, host: &mut Host, service: &ServiceInput) -> Result<String, CallError> {
        let body = json!({"size": service.target["size"], "place": service.target["place"], "mark": service.mark});
        let reply = self.ask(host, "createThing", None, Some(body)).await?;
        self.expect(&reply)?;
        let id = self.body(&reply)?["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| failed(FailureKind::Broken, "no id"))
    }

    async fn ensure(&self, host: &mut Host, service: &ServiceInput) -> Result<String, CallError> {
        if self.habit == Habit::CreatesBlindly {
            return self.create(host, service).await;
        }
        if let Some(found) = self.find(host, &service.mark).await? {
            return Ok(found);
        }
        let looks = if self.habit == Habit::LooksOnce { 1 } else { 4 };
        loop {
            let created = self.create(host, service).await;
            match created {
                Err(CallError::Failed(failure)) if failure.kind == FailureKind::Broken => {}
                other => return other,
            }
            for _ in 0..looks {
                host.wait(1_000).await.map_err(CallError::Aborted)?;
                if let Some(found) = self.find(host, &service.mark).await? {
                    return Ok(found);
                }
            }
        }
    }

    fn record(&self, thing: &Value) -> ResourceRecord {
        let mut attributes = json!({"size": thing["size"], "place": thing["place"]});
        if self.habit == Habit::RecordsNoise {
            attributes["seen"] = json!(self.calls.fetch_add(1, Ordering::SeqCst));
        }
        let id = thing["id"].as_str().unwrap_or_default().to_owned();
        ResourceRecord { id, attributes, url: None, schema: 1 }
    }
}

fn failed(kind: FailureKind, message: &str) -> CallError {
    CallError::Failed(Failure {
        kind,
        message: message.to_owned(),
        retry_after_ms: None,
        details: None,
    })
}

#[async_trait]
impl Provisioner for Maker {
    fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    async fn apply(
        &self,
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
        mut host: Host,
    ) -> Result<Outcome, CallError> {
        let id = match recorded {
            Some(recorded) => recorded.id,
            None => {
                let id = self.ensure(&mut host, &service).await?;
                let partial =
                    ResourceRecord { id: id.clone(), attributes: json!({}), url: None, schema: 1 };
                host.checkpoint(partial).await.map_err(CallError::Aborted)?;
                id
            }
        };
        let body = json!({"size": service.target["size"]});
        let reply = self.ask(&mut host, "changeThing", Some(&id), Some(body)).await?;
        self.expect(&reply)?;
        let made = self.record(&self.body(&reply)?);
        let key = reply.captured.first().map(|key| key.value);
        let key = key.ok_or_else(|| failed(FailureKind::Broken, "no key"))?;
        let outputs = vec![NamedSecret { name: "THING_KEY".to_owned(), value: key }];
        Ok(Outcome { made, outputs, summary: "thing ready".to_owned() })
    }

    async fn read(
        &self,
        _: ServiceInput,
        recorded: ResourceRecord,
        mut host: Host,
    ) -> Result<Option<ResourceRecord>, CallError> {
        let reply = self.ask(&mut host, "getThing", Some(&recorded.id), None).await?;
        if reply.status == 404 || (self.habit == Habit::TakesTroubleForGone && reply.status != 200)
        {
            return Ok(None);
        }
        self.expect(&reply)?;
        let seen = self.record(&self.body(&reply)?);
        Ok(Some(if self.habit == Habit::EchoesTheRecord { recorded } else { seen }))
    }

    async fn destroy(&self, recorded: ResourceRecord, mut host: Host) -> Result<(), CallError> {
        if self.habit == Habit::DestroysNothing {
            return Ok(());
        }
        let reply = self.ask(&mut host, "deleteThing", Some(&recorded.id), None).await?;
        if reply.status == 404 && self.habit != Habit::MindsGone {
            return Ok(());
        }
        self.expect(&reply)
    }
}
