//! The component's imports behind plain types.

use super::bindings::starsystem::provisioner::{api, clock, model, progress, secrets};
use super::raw;
use crate::{CallError, CallErrorKind, NamedSecret, Secret};

pub(crate) fn send(call: raw::Call) -> Result<raw::Reply, CallError> {
    let call = api::Call {
        operation: call.operation,
        params: call.params.into_iter().map(|(name, value)| api::Param { name, value }).collect(),
        body: call.body,
        fill: call
            .fill
            .into_iter()
            .map(|fill| api::Fill { pointer: fill.name, value: fill.value.0 })
            .collect(),
    };
    match api::send(&call) {
        Ok(reply) => Ok(raw::Reply {
            status: u16::try_from(reply.status).unwrap_or(0),
            headers: reply.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: reply.body,
            captured: reply.captured.into_iter().map(named).collect(),
        }),
        Err(failure) => {
            Err(CallError { kind: call_error_kind(failure.kind), message: failure.message })
        }
    }
}

pub(crate) fn compose(template: String, parts: Vec<NamedSecret>) -> Result<Secret, String> {
    let parts: Vec<_> = parts.into_iter().map(unnamed).collect();
    secrets::compose(&template, &parts).map(Secret)
}

pub(crate) fn step(message: String) {
    progress::step(&message);
}

pub(crate) fn log(message: String) {
    progress::log(&message);
}

pub(crate) fn checkpoint(record: raw::Record) {
    progress::checkpoint(&record.into());
}

pub(crate) fn now_ms() -> f64 {
    clock::now_ms()
}

pub(crate) fn wait(ms: u32) {
    clock::wait(ms);
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    clock::random(count)
}

pub(super) fn named(secret: model::NamedSecret) -> NamedSecret {
    NamedSecret { name: secret.name, value: Secret(secret.value) }
}

pub(super) fn unnamed(secret: NamedSecret) -> model::NamedSecret {
    model::NamedSecret { name: secret.name, value: secret.value.0 }
}

impl From<raw::Record> for model::ResourceRecord {
    fn from(record: raw::Record) -> Self {
        Self {
            id: record.id,
            attributes: record.attributes,
            url: record.url,
            schema: record.schema,
        }
    }
}

fn call_error_kind(kind: api::CallFailureKind) -> CallErrorKind {
    match kind {
        api::CallFailureKind::Denied => CallErrorKind::Denied,
        api::CallFailureKind::TimedOut => CallErrorKind::TimedOut,
        api::CallFailureKind::Unreachable => CallErrorKind::Unreachable,
        api::CallFailureKind::TooLarge => CallErrorKind::TooLarge,
        api::CallFailureKind::OutcomeUnknown => CallErrorKind::OutcomeUnknown,
    }
}
