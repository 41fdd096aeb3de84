//! Writing a script, running it, and looking at what happened.

use std::collections::VecDeque;

use serde_json::Value;

use super::host::{self, Host};
use super::manifest::{Manifest, Phase};
use crate::{CallError, CallErrorKind, Secret};

/// The calls that a provisioner is expected to make, in order.
#[derive(Debug)]
pub struct Script {
    host: Host,
}

/// One expected call: what it must carry, and how it is answered.
#[derive(Debug, Default)]
pub struct Expectation {
    pub(super) operation: String,
    pub(super) params: Vec<(String, Option<String>)>,
    pub(super) body: Vec<(String, Option<Value>)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) answer: Option<Result<(u16, Vec<u8>), CallError>>,
}

/// What was kept by a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The vendor's id.
    pub id: String,
    /// The attributes.
    pub attributes: Value,
    /// Where the resource is reached.
    pub url: Option<String>,
    /// Version of the attributes' shape.
    pub schema: u32,
}

/// What happened while a script ran.
#[derive(Debug)]
pub struct Run<R> {
    /// What the provisioner returned.
    pub result: R,
    /// Steps shown to the user.
    pub steps: Vec<String>,
    /// Lines of the log.
    pub logs: Vec<String>,
    /// Checkpoints, in order.
    pub checkpoints: Vec<Checkpoint>,
    /// Operations called, in order.
    pub calls: Vec<String>,
    /// How long it waited, all waits together.
    pub waited_ms: u64,
    secrets: Vec<String>,
}

impl Script {
    /// An empty script.
    pub fn new(manifest: &str, phase: Phase) -> Self {
        Self { host: Host::new(Manifest::parse(manifest), phase) }
    }

    /// A secret handed to the service, for [`Service::inputs`](crate::Service::inputs).
    pub fn secret(&mut self, text: &str) -> Secret {
        self.host.input(text)
    }

    /// Says that an id is recorded as this service's, as it is for every update and destroy.
    pub fn owns(&mut self, param: &str, id: &str) -> &mut Self {
        self.host.own(param, id);
        self
    }

    /// Expects a call next.
    pub fn on(&mut self, operation: &str) -> &mut Expectation {
        self.host
            .expected
            .push_back(Expectation { operation: operation.to_owned(), ..Expectation::default() });
        self.host.expected.back_mut().expect("it was just pushed")
    }

    /// Runs a provisioner's function against the script. Panics when calls are left over.
    pub fn run<R>(self, function: impl FnOnce() -> R) -> Run<R> {
        host::install(self.host);
        let result = function();
        let mut host = host::uninstall();
        let left: VecDeque<_> = host.expected.iter().map(|call| &call.operation).collect();
        assert!(left.is_empty(), "calls that never came: {left:?}; came: {:?}", host.calls);
        Run {
            result,
            steps: std::mem::take(&mut host.steps),
            logs: std::mem::take(&mut host.logs),
            checkpoints: std::mem::take(&mut host.checkpoints),
            calls: std::mem::take(&mut host.calls),
            waited_ms: host.waited_ms,
            secrets: host.into_secrets(),
        }
    }
}

impl Expectation {
    /// The call must carry this parameter.
    pub fn param(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.params.push((name.to_owned(), Some(value.to_string())));
        self
    }

    /// The call must not carry this parameter.
    pub fn no_param(&mut self, name: &str) -> &mut Self {
        self.params.push((name.to_owned(), None));
        self
    }

    /// The body must hold this value at a JSON pointer, secrets filled in.
    pub fn body(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        self.body.push((pointer.to_owned(), Some(value.into())));
        self
    }

    /// The body must hold nothing at a JSON pointer.
    pub fn no_body(&mut self, pointer: &str) -> &mut Self {
        self.body.push((pointer.to_owned(), None));
        self
    }

    /// A header of the reply.
    pub fn header(&mut self, name: &str, value: &str) -> &mut Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers with JSON.
    pub fn reply(&mut self, status: u16, body: Value) {
        self.reply_text(status, &body.to_string());
    }

    /// Answers with any text.
    pub fn reply_text(&mut self, status: u16, body: &str) {
        self.answer = Some(Ok((status, body.as_bytes().to_vec())));
    }

    /// The request goes out and its answer gets lost.
    pub fn lost(&mut self) {
        self.fails(CallErrorKind::OutcomeUnknown, "the answer was lost");
    }

    /// There is no reply.
    pub fn fails(&mut self, kind: CallErrorKind, message: &str) {
        self.answer = Some(Err(CallError { kind, message: message.to_owned() }));
    }
}

impl<R> Run<R> {
    /// The value of a secret, which only a test can see.
    pub fn reveal(&self, secret: Secret) -> &str {
        &self.secrets[secret.0 as usize]
    }
}
