//! What belongs to one call: the host it speaks to, what it printed, what it holds.

use ss_ports::{Abort, HostCalls};
use wasmtime::component::ResourceTable;

use crate::bounded_host::BoundedHost;
use crate::limits::Limits;
use crate::printed::Printed;

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
    pub(crate) host: BoundedHost,
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
        Self { host: BoundedHost::new(host, limits), printed, table, latest: 0 }
    }

    /// Nanoseconds that never go back.
    pub(crate) async fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        // A float converts to the nearest integer it can: a negative or senseless time becomes zero.
        let now = (self.host.now_ms().await? * 1e6) as u64;
        self.latest = self.latest.max(now);
        Ok(self.latest)
    }
}
