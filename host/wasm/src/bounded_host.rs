//! The host as a guest may ask it: within bounds, and counted. No guest's word reaches a [`HostCalls`] another way.

use std::future::Future;
use std::pin::Pin;

use ss_gate::call::{
    Call, CallFailure, CallFailureKind, NamedSecret, Reply, ResourceRecord, SecretIndex,
};
use ss_ports::{Abort, HostCalls};

use crate::bounds::{self, VALUE};
use crate::engine::ticks;
use crate::limits::{Limits, Usage};
use crate::state::Stop;

/// A boxed answer of the host.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Abort>> + Send + 'a>>;

/// The host of one call.
pub(crate) struct BoundedHost {
    calls: Box<dyn HostCalls>,
    pub(crate) usage: Usage,
}

impl BoundedHost {
    pub(crate) fn new(calls: Box<dyn HostCalls>, limits: Limits) -> Self {
        Self { calls, usage: Usage::new(limits) }
    }

    /// Asks the host. The guest's processor time stands still meanwhile.
    async fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut dyn HostCalls) -> Answer<'_, T> + Send,
    ) -> Result<T, Stop> {
        self.usage.asked()?;
        let start = ticks();
        let answer = question(self.calls.as_mut()).await;
        self.usage.waited(ticks() - start);
        answer.map_err(Stop::Aborted)
    }

    pub(crate) async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Stop> {
        bounds::call(&call)?;
        self.usage.handed(bounds::call_bytes(&call))?;
        let answer = self.ask(|host| host.send(call)).await?;
        if matches!(&answer, Err(failure) if failure.kind == CallFailureKind::Denied) {
            self.usage.refused()?;
        }
        Ok(answer)
    }

    pub(crate) async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Stop> {
        bounds::size("template", template.len(), VALUE)?;
        bounds::secrets("list of parts", &parts)?;
        self.usage.handed(template.len())?;
        self.ask(|host| host.compose(template, parts)).await
    }

    pub(crate) async fn step(&mut self, message: String) -> Result<(), Stop> {
        self.ask(|host| host.step(bounds::line(message))).await
    }

    pub(crate) async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Stop> {
        let bytes = bounds::record(&partial)?;
        self.usage.handed(bytes)?;
        self.ask(|host| host.checkpoint(partial)).await
    }

    pub(crate) async fn log(&mut self, message: String) -> Result<(), Stop> {
        self.ask(|host| host.log(bounds::line(message))).await
    }

    /// Milliseconds since the Unix epoch, as the host says.
    pub(crate) async fn now_ms(&mut self) -> Result<f64, Stop> {
        self.ask(|host| host.now_ms()).await
    }

    pub(crate) async fn wait(&mut self, ms: u32) -> Result<(), Stop> {
        self.ask(|host| host.wait(ms)).await
    }

    /// Random bytes from the host, in as many questions as it takes.
    pub(crate) async fn random(&mut self, count: u64) -> Result<Vec<u8>, Stop> {
        const MOST: u64 = 64 << 10;
        if count > MOST {
            let text = format!("it asked for {count} random bytes at once; {MOST} is the most");
            return Err(Stop::Exhausted(text));
        }
        self.usage.drew(count)?;
        let mut bytes = Vec::with_capacity(count as usize);
        while (bytes.len() as u64) < count {
            let next = (count - bytes.len() as u64).min(1024) as u32;
            bytes.extend(self.ask(|host| host.random(next)).await?);
        }
        Ok(bytes)
    }
}
