//! Track 0.1 of the contract: the generated bindings, and what crosses them, checked.

use ss_gate::call as gate;
use wasmtime::component::{HasSelf, Linker};

use crate::bounds::{self, object};
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
        let answer = self.host.send(call(request)).await?;
        Ok(answer.map(reply).map_err(call_failure))
    }
}

impl secrets::Host for State {
    async fn compose(
        &mut self,
        template: String,
        parts: Vec<model::NamedSecret>,
    ) -> wasmtime::Result<Result<u32, String>> {
        Ok(self.host.compose(template, named_secrets(parts)).await?)
    }
}

impl progress::Host for State {
    async fn step(&mut self, message: String) -> wasmtime::Result<()> {
        Ok(self.host.step(message).await?)
    }

    async fn checkpoint(&mut self, partial: model::ResourceRecord) -> wasmtime::Result<()> {
        Ok(self.host.checkpoint(record(partial)?).await?)
    }

    async fn log(&mut self, message: String) -> wasmtime::Result<()> {
        Ok(self.host.log(message).await?)
    }
}

impl clock::Host for State {
    async fn now_ms(&mut self) -> wasmtime::Result<f64> {
        Ok(self.host.now_ms().await?)
    }

    async fn wait(&mut self, ms: u32) -> wasmtime::Result<()> {
        Ok(self.host.wait(ms).await?)
    }

    async fn random(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        if count > 1024 {
            let text = format!("it asked for {count} random bytes at once; 1024 is the most");
            return Err(Stop::Exhausted(text).into());
        }
        Ok(self.host.random(u64::from(count)).await?)
    }
}

fn call(call: api::Call) -> gate::Call {
    let param = |param: api::Param| gate::Param { name: param.name, value: param.value };
    let fill = |fill: api::Fill| gate::Fill { pointer: fill.pointer, value: fill.value };
    gate::Call {
        operation: call.operation,
        params: call.params.into_iter().map(param).collect(),
        body: call.body,
        fill: call.fill.into_iter().map(fill).collect(),
    }
}

fn named_secrets(secrets: Vec<model::NamedSecret>) -> Vec<gate::NamedSecret> {
    let named =
        |secret: model::NamedSecret| gate::NamedSecret { name: secret.name, value: secret.value };
    secrets.into_iter().map(named).collect()
}

fn record(record: model::ResourceRecord) -> Result<gate::ResourceRecord, Stop> {
    let attributes = object("attributes", &record.attributes)?;
    Ok(gate::ResourceRecord { id: record.id, attributes, url: record.url, schema: record.schema })
}

/// What `apply` answered.
pub(crate) fn outcome(outcome: lifecycle::Outcome) -> Result<gate::Outcome, Stop> {
    bounds::outcome(gate::Outcome {
        made: record(outcome.made)?,
        outputs: named_secrets(outcome.outputs),
        summary: outcome.summary,
    })
}

/// What `read` answered.
pub(crate) fn seen(
    seen: Option<model::ResourceRecord>,
) -> Result<Option<gate::ResourceRecord>, Stop> {
    let Some(seen) = seen.map(record).transpose()? else { return Ok(None) };
    bounds::record(&seen)?;
    Ok(Some(seen))
}

/// Why the provisioner did not succeed, in its own words.
pub(crate) fn failure(failure: lifecycle::Failure) -> Result<gate::Failure, Stop> {
    bounds::failure(gate::Failure {
        kind: match failure.kind {
            model::FailureKind::Invalid => gate::FailureKind::Invalid,
            model::FailureKind::Unauthorized => gate::FailureKind::Unauthorized,
            model::FailureKind::Declined => gate::FailureKind::Declined,
            model::FailureKind::Conflict => gate::FailureKind::Conflict,
            model::FailureKind::Unavailable => gate::FailureKind::Unavailable,
            model::FailureKind::Broken => gate::FailureKind::Broken,
        },
        message: failure.message,
        retry_after_ms: failure.retry_after_ms,
        details: failure.details.map(|details| object("failure details", &details)).transpose()?,
    })
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
