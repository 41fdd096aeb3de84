//! What belongs to one call: the host it speaks to, what it has used up, what it printed.

use std::future::Future;
use std::pin::Pin;

use ss_ports::{Abort, HostCalls};
use wasmtime::component::ResourceTable;

use crate::engine::ticks;
use crate::limits::{Limits, Usage};
use crate::printed::Printed;

/// A boxed answer of the host.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Abort>> + Send + 'a>>;

/// Why the host ended a call. Nothing of it reaches the guest's code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The host cannot go on.
    #[error("{0}")]
    Aborted(Abort),
    /// A limit was reached.
    #[error("{0}")]
    Exhausted(String),
    /// What the guest handed over is not what the contract says.
    #[error("{0}")]
    Unusable(String),
    /// The guest ended itself, or called what no provisioner may call.
    #[error("{0}")]
    Broke(String),
}

/// The data of one store.
pub(crate) struct State {
    host: Box<dyn HostCalls>,
    pub(crate) usage: Usage,
    pub(crate) printed: Printed,
    /// Handles of the WASI interfaces.
    pub(crate) table: ResourceTable,
    /// The latest moment handed out, in nanoseconds, so that the monotonic clock is one.
    latest: u64,
}

impl State {
    pub(crate) fn new(host: Box<dyn HostCalls>, limits: Limits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let printed = Printed::default();
        Self { host, usage: Usage::new(limits), printed, table, latest: 0 }
    }

    /// Asks the host. The guest's processor time stands still meanwhile.
    pub(crate) async fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut dyn HostCalls) -> Answer<'_, T> + Send,
    ) -> wasmtime::Result<T> {
        self.usage.asked()?;
        let start = ticks();
        let answer = question(self.host.as_mut()).await;
        self.usage.waited(ticks() - start);
        answer.map_err(|abort| Stop::Aborted(abort).into())
    }

    /// Milliseconds since the Unix epoch, as the host says.
    pub(crate) async fn now_ms(&mut self) -> wasmtime::Result<f64> {
        self.ask(|host| host.now_ms()).await
    }

    /// Nanoseconds that never go back.
    pub(crate) async fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        // A float converts to the nearest integer it can: a negative or senseless time becomes zero.
        let now = (self.now_ms().await? * 1e6) as u64;
        self.latest = self.latest.max(now);
        Ok(self.latest)
    }

    /// Random bytes from the host, in as many questions as it takes.
    pub(crate) async fn random(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        const MOST: u64 = 64 << 10;
        if count > MOST {
            let text = format!("it asked for {count} random bytes at once; {MOST} is the most");
            return Err(Stop::Exhausted(text).into());
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
