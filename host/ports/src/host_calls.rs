//! What a running provisioner may ask of the host: the imports of its world, as a trait.

use async_trait::async_trait;
use ss_gate::call::{Call, CallFailure, NamedSecret, Reply, ResourceRecord, SecretIndex};

/// The host cannot go on with this call: its record cannot be written, or the user stopped the run. The
/// provisioner's instance ends; nothing reaches its code.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Abort(pub String);

/// The host's side of one provisioner call. One guest, one `HostCalls`; calls come one after the other.
#[async_trait]
pub trait HostCalls: Send {
    /// Sends one operation through the gate.
    async fn send(&mut self, call: Call) -> Result<Result<Reply, CallFailure>, Abort>;
    /// Makes a secret out of a template and parts.
    async fn compose(
        &mut self,
        template: String,
        parts: Vec<NamedSecret>,
    ) -> Result<Result<SecretIndex, String>, Abort>;
    /// Shows a finished step to the user.
    async fn step(&mut self, message: String) -> Result<(), Abort>;
    /// Keeps what exists so far; durable when it returns.
    async fn checkpoint(&mut self, partial: ResourceRecord) -> Result<(), Abort>;
    /// A line for the deploy's log.
    async fn log(&mut self, message: String) -> Result<(), Abort>;
    /// Milliseconds since the Unix epoch.
    async fn now_ms(&mut self) -> Result<f64, Abort>;
    /// Waits.
    async fn wait(&mut self, ms: u32) -> Result<(), Abort>;
    /// Random bytes, at most 1024.
    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort>;
}
