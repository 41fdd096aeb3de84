//! The provisioner of things: an honest one, and the parts to make others of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use ss_core::ident::PluginName;
use ss_core::plan::TargetFacts;
use ss_core::state::PluginPin;
use ss_gate::call::{
    Call, CallFailure, CallFailureKind, Failure, FailureKind, Fill, NamedSecret, Outcome, Param,
    Reply, ResourceRecord, ServiceInput,
};
use ss_gate::manifest::Manifest;
use ss_ports::{CallError, HostCalls, Plugin, Provisioner};

/// The host of one call.
pub type Host = Box<dyn HostCalls>;
type Applies = dyn Fn(ServiceInput, Option<ResourceRecord>, Host) -> BoxFuture<'static, Result<Outcome, CallError>>
    + Send
    + Sync;
type Reads = dyn Fn(
        ServiceInput,
        ResourceRecord,
        Host,
    ) -> BoxFuture<'static, Result<Option<ResourceRecord>, CallError>>
    + Send
    + Sync;
type Destroys =
    dyn Fn(ResourceRecord, Host) -> BoxFuture<'static, Result<(), CallError>> + Send + Sync;

/// The manifest of a plugin of things, under this name and target type.
pub fn manifest(name: &str) -> Manifest {
    let both = json!(["create", "update"]);
    let text = json!({
        "manifest": 1, "name": name, "version": "0.1.0", "description": "Things.",
        "targets": [{
            "type": name, "description": "A thing.", "schema": {"type": "object"}, "creates": "thing",
            "outputs": [{"name": "URL", "description": "Its URL."}]
        }],
        "credentials": [{"name": format!("{name}.token"), "description": "Ask for one.", "verify": "whoAmI"}],
        "connections": [{
            "name": "api", "base_url": "https://api.example.com/v1", "auth": {"bearer": format!("{name}.token")},
            "operations": [
                {"name": "whoAmI", "route": "GET /me"},
                {"name": "listThings", "route": "GET /things",
                 "adopts": [{"param": "thing", "id": "/*/id", "mark": "/*/mark"}]},
                {"name": "getThing", "route": "GET /things/{thing}", "reply_headers": ["x-trace", "x-ss-url"]},
                {"name": "getPassword", "route": "GET /things/{thing}/password", "secrets": ["/password"]},
                {"name": "createThing", "route": "POST /things", "in": ["create"], "owns": {"thing": "/id"},
                 "secrets": ["/password"], "rate": {"per_second": 1, "burst": 3}},
                {"name": "changeThing", "route": "PATCH /things/{thing}", "in": both, "fills": ["/env/*"]},
                {"name": "touchThing", "route": "PUT /things/{thing}/touches/{touch}", "in": both, "repeatable": true,
                 "rate": {"per_second": 1, "burst": 3, "per": ["thing"]}},
                {"name": "deleteThing", "route": "DELETE /things/{thing}", "in": ["destroy"], "destroys": true}
            ]
        }]
    });
    Manifest::parse(&text.to_string()).expect("a good manifest")
}

/// A provisioner made of closures.
#[derive(Clone)]
pub struct Things {
    plugin: Plugin,
    apply: Arc<Applies>,
    read: Arc<Reads>,
    destroy: Arc<Destroys>,
}

impl Things {
    /// The provisioner that does everything right.
    pub fn honest() -> Self {
        Self::named("thing")
    }

    /// The same under another name and target type.
    pub fn named(name: &str) -> Self {
        let pin = PluginPin {
            name: PluginName::new(name).expect("a valid plugin name"),
            version: "0.1.0".to_owned(),
            digest: format!("sha256:{name}"),
        };
        Self {
            plugin: Plugin { pin, manifest: Arc::new(manifest(name)) },
            apply: Arc::new(|service, recorded, host| Box::pin(apply(service, recorded, host))),
            read: Arc::new(|service, recorded, host| Box::pin(read(service, recorded, host))),
            destroy: Arc::new(|recorded, host| Box::pin(destroy(recorded, host))),
        }
    }

    /// Applies like this instead.
    pub fn applying<F>(
        self,
        apply: impl Fn(ServiceInput, Option<ResourceRecord>, Host) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Outcome, CallError>> + Send + 'static,
    {
        let apply = move |service, recorded, host| -> BoxFuture<'static, _> {
            Box::pin(apply(service, recorded, host))
        };
        Self { apply: Arc::new(apply), ..self }
    }

    /// Reads like this instead.
    pub fn reading<F>(
        self,
        read: impl Fn(ServiceInput, ResourceRecord, Host) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Option<ResourceRecord>, CallError>> + Send + 'static,
    {
        let read = move |service, recorded, host| -> BoxFuture<'static, _> {
            Box::pin(read(service, recorded, host))
        };
        Self { read: Arc::new(read), ..self }
    }

    /// The same code as another build.
    pub fn rebuilt(mut self) -> Self {
        self.plugin.pin.digest.push_str("-rebuilt");
        self
    }

    /// What a plan knows of it. `region` cannot be changed.
    pub fn facts(&self) -> TargetFacts {
        let kind = self.plugin.pin.name.as_str();
        let immutable = BTreeSet::from(["region".to_owned()]);
        self.plugin.manifest.facts(kind, &self.plugin.pin, immutable).expect("its own target")
    }
}

#[async_trait]
impl Provisioner for Things {
    fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    async fn apply(
        &self,
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
        host: Host,
    ) -> Result<Outcome, CallError> {
        (self.apply)(service, recorded, host).await
    }

    async fn read(
        &self,
        service: ServiceInput,
        recorded: ResourceRecord,
        host: Host,
    ) -> Result<Option<ResourceRecord>, CallError> {
        (self.read)(service, recorded, host).await
    }

    async fn destroy(&self, recorded: ResourceRecord, host: Host) -> Result<(), CallError> {
        (self.destroy)(recorded, host).await
    }
}

/// What a provisioner was answered, one after the other.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<Vec<Result<Reply, CallFailure>>>>);

impl Answers {
    /// All of them, in order.
    pub fn list(&self) -> Vec<Result<Reply, CallFailure>> {
        self.0.lock().unwrap().clone()
    }
}

/// A provisioner that sends these calls, keeps the answers, and is content with all of them.
pub fn sends(calls: Vec<Call>) -> (Things, Answers) {
    let answers = Answers::default();
    let kept = answers.clone();
    let things = Things::honest().applying(move |_, _, mut host| {
        let (calls, kept) = (calls.clone(), kept.clone());
        async move {
            for call in calls {
                let answer = send(&mut host, call).await?;
                kept.0.lock().unwrap().push(answer);
            }
            Ok(outcome("th-1", &Value::Null, Vec::new()))
        }
    });
    (things, answers)
}

/// A call without a body.
pub fn call(operation: &str, params: &[(&str, &str)]) -> Call {
    let params = params
        .iter()
        .map(|(name, value)| Param { name: (*name).to_owned(), value: (*value).to_owned() });
    Call { operation: operation.to_owned(), params: params.collect(), body: None, fill: Vec::new() }
}

/// A call on a thing.
pub fn on(operation: &str, id: &str) -> Call {
    call(operation, &[("thing", id)])
}

/// The call with a body.
pub fn with(call: Call, body: &Value) -> Call {
    Call { body: Some(body.to_string().into_bytes()), ..call }
}

/// Sends a call; what the host ends is passed on, what the gate or the network says is for the caller.
pub async fn send(host: &mut Host, call: Call) -> Result<Result<Reply, CallFailure>, CallError> {
    host.send(call).await.map_err(CallError::Aborted)
}

/// Sends a call and wants an answer.
pub async fn answer(host: &mut Host, call: Call) -> Result<Reply, CallError> {
    send(host, call).await?.map_err(|failure| failed(FailureKind::Unavailable, &failure.message))
}

/// The provisioner's own no.
pub fn failed(kind: FailureKind, message: &str) -> CallError {
    let message = message.to_owned();
    CallError::Failed(Failure { kind, message, retry_after_ms: None, details: None })
}

/// A reply's JSON.
pub fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// The record of a thing.
pub fn thing(id: &str, size: &Value) -> ResourceRecord {
    ResourceRecord {
        id: id.to_owned(),
        attributes: json!({"id": id, "size": size}),
        url: Some(format!("https://{id}.example")),
        schema: 1,
    }
}

/// What an honest `apply` ends with.
pub fn outcome(id: &str, size: &Value, outputs: Vec<NamedSecret>) -> Outcome {
    Outcome { made: thing(id, size), outputs, summary: "thing ready".to_owned() }
}

/// The thing with the mark, made if there is none, made once whatever happens to the answer.
pub async fn ensure(host: &mut Host, mark: &str) -> Result<String, CallError> {
    let random = host.random(4).await.map_err(CallError::Aborted)?;
    for _ in 0..3 {
        let list = body(&answer(host, call("listThings", &[])).await?);
        let found = list.as_array().into_iter().flatten().find(|thing| thing["mark"] == mark);
        if let Some(id) = found.and_then(|thing| thing["id"].as_str()) {
            return Ok(id.to_owned());
        }
        let create = with(call("createThing", &[]), &json!({"mark": mark, "random": random}));
        match send(host, create).await? {
            Ok(reply) if reply.status == 201 => {
                return Ok(body(&reply)["id"].as_str().unwrap_or_default().to_owned());
            }
            Ok(reply) => {
                let message = format!("the vendor answered {}", reply.status);
                return Err(failed(FailureKind::Declined, &message));
            }
            Err(failure) if failure.kind == CallFailureKind::OutcomeUnknown => {}
            Err(failure) => return Err(failed(FailureKind::Unavailable, &failure.message)),
        }
    }
    Err(failed(FailureKind::Unavailable, "every answer was lost"))
}

async fn until_ready(host: &mut Host, id: &str) -> Result<(), CallError> {
    for _ in 0..5 {
        host.now_ms().await.map_err(CallError::Aborted)?;
        if body(&answer(host, on("getThing", id)).await?)["ready"] == true {
            return Ok(());
        }
        host.wait(1_000).await.map_err(CallError::Aborted)?;
    }
    Err(failed(FailureKind::Unavailable, "it does not get ready"))
}

/// Sends a change that may be repeated until it is answered.
async fn insist(host: &mut Host, call: Call) -> Result<Reply, CallError> {
    for _ in 0..3 {
        match send(host, call.clone()).await? {
            Ok(reply) => return Ok(reply),
            Err(failure) if failure.kind == CallFailureKind::OutcomeUnknown => {}
            Err(failure) => return Err(failed(FailureKind::Unavailable, &failure.message)),
        }
    }
    Err(failed(FailureKind::Unavailable, "every answer was lost"))
}

/// Makes and changes a thing, honestly.
pub async fn apply(
    service: ServiceInput,
    recorded: Option<ResourceRecord>,
    mut host: Host,
) -> Result<Outcome, CallError> {
    let host = &mut host;
    let size = &service.target["size"];
    let id = match recorded {
        Some(recorded) => recorded.id,
        None => ensure(host, &service.mark).await?,
    };
    host.checkpoint(thing(&id, &Value::Null)).await.map_err(CallError::Aborted)?;
    host.step("Thing created".to_owned()).await.map_err(CallError::Aborted)?;
    until_ready(host, &id).await?;
    let change = with(on("changeThing", &id), &json!({"size": size, "env": {}}));
    let fill = service
        .inputs
        .iter()
        .map(|input| Fill { pointer: format!("/env/{}", input.name), value: input.value });
    insist(host, Call { fill: fill.collect(), ..change }).await?;
    let touch = call("touchThing", &[("thing", &id), ("touch", "1")]);
    answer(host, touch).await?;
    let captured = answer(host, on("getPassword", &id)).await?.captured;
    let Some(password) = captured.into_iter().next() else {
        return Err(failed(FailureKind::Broken, "there is no password"));
    };
    let part = NamedSecret { name: "password".to_owned(), value: password.value };
    let url = host.compose("thing://{password|url}@things".to_owned(), vec![part]).await;
    let value = url.map_err(CallError::Aborted)?.expect("a good template");
    Ok(outcome(&id, size, vec![NamedSecret { name: "URL".to_owned(), value }]))
}

/// Reads a thing, honestly.
pub async fn read(
    _service: ServiceInput,
    recorded: ResourceRecord,
    mut host: Host,
) -> Result<Option<ResourceRecord>, CallError> {
    let reply = answer(&mut host, on("getThing", &recorded.id)).await?;
    match reply.status {
        200 => Ok(Some(thing(&recorded.id, &body(&reply)["size"]))),
        404 => Ok(None),
        status => Err(failed(FailureKind::Broken, &format!("the vendor answered {status}"))),
    }
}

/// Removes a thing, honestly.
pub async fn destroy(recorded: ResourceRecord, mut host: Host) -> Result<(), CallError> {
    let reply = insist(&mut host, on("deleteThing", &recorded.id)).await?;
    match reply.status {
        200 | 404 => Ok(()),
        status => Err(failed(FailureKind::Declined, &format!("the vendor answered {status}"))),
    }
}
