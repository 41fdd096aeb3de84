//! Calling a provisioner, whatever it is made of.

use std::sync::Arc;

use async_trait::async_trait;
use ss_core::state::PluginPin;
use ss_gate::call::{Failure, Outcome, ResourceRecord, ServiceInput};
use ss_gate::manifest::Manifest;

use crate::host_calls::{Abort, HostCalls};

/// A plugin as the host knows it: which one exactly, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Name, version, digest.
    pub pin: PluginPin,
    /// Its manifest, checked.
    pub manifest: Arc<Manifest>,
}

/// How a call can end other than well. The reader does something different for each.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The provisioner said no, or not now: its own typed answer.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// The provisioner's code broke. `stderr` is what it printed last, already safe to show.
    #[error("the provisioner crashed: {message}")]
    Trapped {
        /// The trap, in words.
        message: String,
        /// The last lines it printed.
        stderr: String,
    },
    /// It used up its processor time, its memory or its wall clock.
    #[error("the provisioner was stopped: {0}")]
    Exhausted(String),
    /// The component cannot be used: it does not fit the contract or cannot be loaded.
    #[error("the provisioner cannot be used: {0}")]
    Unusable(String),
    /// The host stopped the call.
    #[error("{0}")]
    Aborted(Abort),
}

/// One loaded plugin. Each call runs in a fresh instance and leaves nothing behind.
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// Which plugin this is.
    fn plugin(&self) -> &Plugin;

    /// Makes the resource as wanted.
    async fn apply(
        &self,
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
        host: Box<dyn HostCalls>,
    ) -> Result<Outcome, CallError>;

    /// Reads the resource as it is; `None` when it is gone.
    async fn read(
        &self,
        service: ServiceInput,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<Option<ResourceRecord>, CallError>;

    /// Removes the resource.
    async fn destroy(
        &self,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<(), CallError>;
}

/// No plugin offers this target type.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no provisioner offers the target type `{0}`")]
pub struct UnknownTarget(pub String);

/// The plugins of a run, by the target types they offer. Loading happens at the first call, not before.
pub trait Provisioners: Send + Sync {
    /// The plugin for a target type.
    fn for_target(&self, kind: &str) -> Result<Arc<dyn Provisioner>, UnknownTarget>;
}
