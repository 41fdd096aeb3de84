//! Asking a component for its manifest, with no rights.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use ss_gate::call::{Call, CallFailure, NamedSecret, Reply, ResourceRecord, SecretIndex};
use ss_ports::{Abort, CallError, HostCalls};

use crate::abi::v0_1::ProvisionerPre;
use crate::invocation::{Invocation, Returned, invoke};
use crate::limits::Limits;
use crate::state::State;

/// Processor time for describing itself, which no user should wait for.
const DESCRIBING_TICKS: u64 = 200;

/// What a component answers when it is asked for its manifest.
pub(crate) fn describe(
    prepared: &ProvisionerPre<State>,
    limits: &Limits,
) -> Result<Returned, CallError> {
    let limits = Limits { cpu_ticks: DESCRIBING_TICKS, ..limits.clone() };
    block_on(invoke(prepared, &limits, Box::new(NoRights { now_ms: 1.0 }), Invocation::Manifest))
}

/// Runs a call whose host answers at once or blocks: the only waiting is the guest's yielding at a tick.
pub(crate) fn block_on<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
    }
}

/// The longest that a language runtime's yields at its start may pretend to take.
const YIELDING_MS: f64 = 1_000.0;

/// The host of a component that describes itself. Language runtimes look at the clock, seed their hash tables and yield
/// when they start: they get the first millisecond of 1970 (Go takes none at all for a broken clock), zeroes, and short
/// waits that are over at once. Everything else ends the call.
struct NoRights {
    now_ms: f64,
}

fn refuse<T>(what: &str) -> Result<T, Abort> {
    Err(Abort(format!("it called `{what}` while it described itself, which needs no rights")))
}

#[async_trait]
impl HostCalls for NoRights {
    async fn send(&mut self, _call: Call) -> Result<Result<Reply, CallFailure>, Abort> {
        refuse("api.send")
    }

    async fn compose(
        &mut self,
        _template: String,
        _parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort> {
        refuse("secrets.compose")
    }

    async fn step(&mut self, _message: String) -> Result<(), Abort> {
        refuse("progress.step")
    }

    async fn checkpoint(&mut self, _partial: ResourceRecord) -> Result<(), Abort> {
        refuse("progress.checkpoint")
    }

    async fn log(&mut self, _message: String) -> Result<(), Abort> {
        refuse("progress.log")
    }

    async fn now_ms(&mut self) -> Result<f64, Abort> {
        Ok(self.now_ms)
    }

    async fn wait(&mut self, ms: u32) -> Result<(), Abort> {
        self.now_ms += f64::from(ms);
        if self.now_ms > YIELDING_MS { refuse("clock.wait") } else { Ok(()) }
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        Ok(vec![0; count as usize])
    }
}
