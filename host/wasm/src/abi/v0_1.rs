//! Track 0.1 of the contract: the generated bindings, and what crosses them, checked.

use ss_gate::call as gate;
use wasmtime::component::{HasSelf, Linker};

use super::bounds::{self, BODY, NAME, VALUE, line, list, object, size, text};
use crate::state::{State, Stop};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/provisioner-0.1",
        world: "provisioner",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

use bindings::exports::starsystem::provisioner::lifecycle;
pub(crate) use bindings::exports::starsystem::provisioner::lifecycle::Failure;
use bindings::starsystem::provisioner::{api, clock, model, progress, secrets};

pub(crate) use bindings::exports::starsystem::provisioner::lifecycle::Guest as Lifecycle;
pub(crate) use bindings::{Provisioner, ProvisionerPre};

/// Links the contract's imports.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    Provisioner::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl model::Host for State {}

impl api::Host for State {
    async fn send(
        &mut self,
        request: api::Call,
    ) -> wasmtime::Result<Result<api::Reply, api::CallFailure>> {
        let call = call(request)?;
        self.usage.handed(call_bytes(&call))?;
        let answer = self.ask(|host| host.send(call)).await?;
        if matches!(&answer, Err(failure) if failure.kind == gate::CallFailureKind::Denied) {
            self.usage.refused()?;
        }
        Ok(answer.map(reply).map_err(call_failure))
    }
}

impl secrets::Host for State {
    async fn compose(
        &mut self,
        template: String,
        parts: Vec<model::NamedSecret>,
    ) -> wasmtime::Result<Result<u32, String>> {
        let template = text("template", template, VALUE)?;
        let parts = list("list of parts", parts, named_secret)?;
        self.usage.handed(template.len())?;
        self.ask(|host| host.compose(template, parts)).await
    }
}

impl progress::Host for State {
    async fn step(&mut self, message: String) -> wasmtime::Result<()> {
        self.ask(|host| host.step(line(message))).await
    }

    async fn checkpoint(&mut self, partial: model::ResourceRecord) -> wasmtime::Result<()> {
        self.usage.handed(partial.attributes.len())?;
        let partial = record(partial)?;
        self.ask(|host| host.checkpoint(partial)).await
    }

    async fn log(&mut self, message: String) -> wasmtime::Result<()> {
        self.ask(|host| host.log(line(message))).await
    }
}

impl clock::Host for State {
    async fn now_ms(&mut self) -> wasmtime::Result<f64> {
        State::now_ms(self).await
    }

    async fn wait(&mut self, ms: u32) -> wasmtime::Result<()> {
        self.ask(|host| host.wait(ms)).await
    }

    async fn random(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        if count > 1024 {
            let text = format!("it asked for {count} random bytes at once; 1024 is the most");
            return Err(Stop::Exhausted(text).into());
        }
        State::random(self, u64::from(count)).await
    }
}

fn call(call: api::Call) -> Result<gate::Call, Stop> {
    size("request body", call.body.as_ref().map_or(0, Vec::len), BODY)?;
    Ok(gate::Call {
        operation: text("operation name", call.operation, NAME)?,
        params: list("list of parameters", call.params, |param| {
            Ok(gate::Param {
                name: text("parameter name", param.name, NAME)?,
                value: text("parameter value", param.value, VALUE)?,
            })
        })?,
        body: call.body,
        fill: list("list of fills", call.fill, |fill| {
            let pointer = text("fill pointer", fill.pointer, VALUE)?;
            Ok(gate::Fill { pointer, value: fill.value })
        })?,
    })
}

fn call_bytes(call: &gate::Call) -> usize {
    let params = call.params.iter().map(|param| param.name.len() + param.value.len());
    let fills = call.fill.iter().map(|fill| fill.pointer.len());
    call.body.as_ref().map_or(0, Vec::len) + params.chain(fills).sum::<usize>()
}

fn named_secret(secret: model::NamedSecret) -> Result<gate::NamedSecret, Stop> {
    Ok(gate::NamedSecret {
        name: text("name of a secret", secret.name, NAME)?,
        value: secret.value,
    })
}

fn record(record: model::ResourceRecord) -> Result<gate::ResourceRecord, Stop> {
    Ok(gate::ResourceRecord {
        id: text("resource id", record.id, VALUE)?,
        attributes: object("attributes", &record.attributes)?,
        url: record.url.map(|url| text("url", url, VALUE)).transpose()?,
        schema: record.schema,
    })
}

/// What `apply` answered.
pub(crate) fn outcome(outcome: lifecycle::Outcome) -> Result<gate::Outcome, Stop> {
    Ok(gate::Outcome {
        made: record(outcome.made)?,
        outputs: list("list of outputs", outcome.outputs, named_secret)?,
        summary: line(outcome.summary),
    })
}

/// What `read` answered.
pub(crate) fn seen(
    seen: Option<model::ResourceRecord>,
) -> Result<Option<gate::ResourceRecord>, Stop> {
    seen.map(record).transpose()
}

/// Why the provisioner did not succeed, in its own words.
pub(crate) fn failure(failure: lifecycle::Failure) -> Result<gate::Failure, Stop> {
    Ok(gate::Failure {
        kind: match failure.kind {
            model::FailureKind::Invalid => gate::FailureKind::Invalid,
            model::FailureKind::Unauthorized => gate::FailureKind::Unauthorized,
            model::FailureKind::Declined => gate::FailureKind::Declined,
            model::FailureKind::Conflict => gate::FailureKind::Conflict,
            model::FailureKind::Unavailable => gate::FailureKind::Unavailable,
            model::FailureKind::Broken => gate::FailureKind::Broken,
        },
        message: line(failure.message),
        retry_after_ms: failure.retry_after_ms,
        details: failure.details.map(|details| object("failure details", &details)).transpose()?,
    })
}

/// The manifest's text, bounded; what it says is the gate's to judge.
pub(crate) fn manifest(document: String) -> Result<String, Stop> {
    text("manifest", document, bounds::JSON)
}

fn reply(reply: gate::Reply) -> api::Reply {
    api::Reply {
        status: u32::from(reply.status),
        headers: reply
            .headers
            .into_iter()
            .map(|header| api::Param { name: header.name, value: header.value })
            .collect(),
        body: reply.body,
        captured: reply.captured.into_iter().map(handed_secret).collect(),
    }
}

fn call_failure(failure: gate::CallFailure) -> api::CallFailure {
    api::CallFailure {
        kind: match failure.kind {
            gate::CallFailureKind::Denied => api::CallFailureKind::Denied,
            gate::CallFailureKind::TimedOut => api::CallFailureKind::TimedOut,
            gate::CallFailureKind::Unreachable => api::CallFailureKind::Unreachable,
            gate::CallFailureKind::TooLarge => api::CallFailureKind::TooLarge,
            gate::CallFailureKind::OutcomeUnknown => api::CallFailureKind::OutcomeUnknown,
        },
        message: failure.message,
    }
}

fn handed_secret(secret: gate::NamedSecret) -> model::NamedSecret {
    model::NamedSecret { name: secret.name, value: secret.value }
}

/// A service as the guest gets it.
pub(crate) fn handed_service(service: gate::ServiceInput) -> lifecycle::Service {
    lifecycle::Service {
        id: service.id,
        target: service.target.to_string(),
        inputs: service.inputs.into_iter().map(handed_secret).collect(),
        mark: service.mark,
    }
}

/// A record as the guest gets it.
pub(crate) fn handed_record(record: gate::ResourceRecord) -> lifecycle::ResourceRecord {
    lifecycle::ResourceRecord {
        id: record.id,
        attributes: record.attributes.to_string(),
        url: record.url,
        schema: record.schema,
    }
}
