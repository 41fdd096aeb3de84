//! Looks over a provisioner's shoulder: everything that it asks and is told, from its own side of the boundary.

use std::sync::Arc;

use async_trait::async_trait;
use ss_core::text::printable;
use ss_gate::call::{
    Call, CallFailure, NamedSecret, Outcome, Reply, ResourceRecord, SecretIndex, ServiceInput,
};
use ss_ports::{Abort, CallError, HostCalls, Plugin, Provisioner};

use crate::log::Log;

/// How much of a body is kept.
const BODY_MAX: usize = 600;

/// A provisioner that is watched.
pub struct Watched {
    inner: Arc<dyn Provisioner>,
    log: Arc<Log>,
}

impl Watched {
    /// Watches a provisioner.
    pub fn new(inner: Arc<dyn Provisioner>, log: Arc<Log>) -> Self {
        Self { inner, log }
    }

    fn host(&self, inner: Box<dyn HostCalls>) -> Box<dyn HostCalls> {
        Box::new(WatchedHost { inner, log: self.log.clone() })
    }

    fn ended<T>(&self, function: &str, result: &Result<T, CallError>) {
        self.log.line(match result {
            Ok(_) => format!("{function} succeeded"),
            Err(CallError::Failed(failure)) => {
                format!(
                    "{function} failed ({}): {}",
                    failure.kind.as_str(),
                    shown(&failure.message)
                )
            }
            Err(error) => format!("{function} ended: {}", shown(&error.to_string())),
        });
        // What it printed before it crashed: a panic's place, a goroutine's trace.
        if let Err(CallError::Trapped { stderr, .. }) = result {
            stderr.lines().for_each(|line| self.log.line(format!("  | {}", shown(line))));
        }
    }
}

fn shown(text: &str) -> String {
    printable(text, BODY_MAX)
}

fn body(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    format!(" {}", shown(&String::from_utf8_lossy(bytes)))
}

#[async_trait]
impl Provisioner for Watched {
    fn plugin(&self) -> &Plugin {
        self.inner.plugin()
    }

    async fn apply(
        &self,
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
        host: Box<dyn HostCalls>,
    ) -> Result<Outcome, CallError> {
        let known = recorded.as_ref().map_or("nothing".to_owned(), |record| record.id.clone());
        self.log.line(format!("apply, recorded: {}", shown(&known)));
        let result = self.inner.apply(service, recorded, self.host(host)).await;
        self.ended("apply", &result);
        result
    }

    async fn read(
        &self,
        service: ServiceInput,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<Option<ResourceRecord>, CallError> {
        self.log.line(format!("read {}", shown(&recorded.id)));
        let result = self.inner.read(service, recorded, self.host(host)).await;
        self.ended("read", &result);
        result
    }

    async fn destroy(
        &self,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<(), CallError> {
        self.log.line(format!("destroy {}", shown(&recorded.id)));
        let result = self.inner.destroy(recorded, self.host(host)).await;
        self.ended("destroy", &result);
        result
    }
}

struct WatchedHost {
    inner: Box<dyn HostCalls>,
    log: Arc<Log>,
}

fn asked(call: &Call) -> String {
    let params: Vec<String> =
        call.params.iter().map(|param| format!("{}={}", param.name, param.value)).collect();
    let params = if params.is_empty() { String::new() } else { format!(" {}", params.join(" ")) };
    let body = call.body.as_deref().map(body).unwrap_or_default();
    format!("→ {}{}{body}", shown(&call.operation), shown(&params))
}

fn answered(answer: &Result<Reply, CallFailure>) -> String {
    match answer {
        Ok(reply) => format!("← {}{}", reply.status, body(&reply.body)),
        Err(failure) => format!("← {:?}: {}", failure.kind, shown(&failure.message)),
    }
}

#[async_trait]
impl HostCalls for WatchedHost {
    async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Abort> {
        self.log.used(&call.operation);
        self.log.line(asked(&call));
        let answer = self.inner.send(call).await?;
        self.log.line(answered(&answer));
        Ok(answer)
    }

    async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort> {
        self.inner.compose(template, parts).await
    }

    async fn step(&mut self, message: String) -> Result<(), Abort> {
        self.log.line(format!("✓ {}", shown(&message)));
        self.inner.step(message).await
    }

    async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Abort> {
        self.log.line(format!("checkpoint {}", shown(&partial.id)));
        self.inner.checkpoint(partial).await
    }

    async fn log(&mut self, message: String) -> Result<(), Abort> {
        self.log.line(format!("log: {}", shown(&message)));
        self.inner.log(message).await
    }

    async fn now_ms(&mut self) -> Result<f64, Abort> {
        self.inner.now_ms().await
    }

    async fn wait(&mut self, ms: u32) -> Result<(), Abort> {
        self.log.line(format!("waits {ms} ms"));
        self.inner.wait(ms).await
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        self.inner.random(count).await
    }
}
