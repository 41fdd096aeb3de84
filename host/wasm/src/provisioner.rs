//! A component as a provisioner: known by its manifest at once, loaded at its first call.

use std::sync::OnceLock;

use async_trait::async_trait;
use ss_gate::call::{Outcome, ResourceRecord, ServiceInput};
use ss_ports::{CallError, HostCalls, Plugin, Provisioner};

use crate::abi::v0_1::ProvisionerPre;
use crate::code::Code;
use crate::describe::describe;
use crate::invocation::{Invocation, Returned, invoke};
use crate::limits::Limits;
use crate::state::State;
use crate::wall::{Wall, Walled};

/// Where a component's code runs.
pub(crate) enum Place {
    /// In this process.
    Here { code: Code, prepared: OnceLock<Result<ProvisionerPre<State>, String>> },
    /// In a process of its own.
    Walled(Walled),
}

impl Place {
    pub(crate) fn new(code: Code, wall: Option<&Wall>) -> Self {
        match wall {
            None => Self::Here { code, prepared: OnceLock::new() },
            Some(wall) => Self::Walled(Walled::new(wall.clone(), code)),
        }
    }

    pub(crate) fn code(&self) -> &Code {
        match self {
            Self::Here { code, .. } => code,
            Self::Walled(walled) => walled.code(),
        }
    }

    /// The component's manifest, in its own words.
    pub(crate) fn describe(&self, limits: &Limits) -> Result<String, CallError> {
        let returned = match self {
            Self::Here { code, prepared } => describe(loaded(code, prepared)?, limits)?,
            Self::Walled(walled) => walled.describe(limits)?,
        };
        match returned {
            Returned::Manifest(document) => Ok(document),
            _ => Err(out_of_turn()),
        }
    }

    async fn call(
        &self,
        invocation: Invocation,
        limits: &Limits,
        host: Box<dyn HostCalls>,
    ) -> Result<Returned, CallError> {
        match self {
            Self::Here { code, prepared } => {
                invoke(loaded(code, prepared)?, limits, host, invocation).await
            }
            Self::Walled(walled) => walled.call(invocation, limits, host).await,
        }
    }
}

fn loaded<'a>(
    code: &Code,
    prepared: &'a OnceLock<Result<ProvisionerPre<State>, String>>,
) -> Result<&'a ProvisionerPre<State>, CallError> {
    let prepared = prepared.get_or_init(|| code.prepare());
    prepared.as_ref().map_err(|why| CallError::Unusable(why.clone()))
}

/// Only a process that broke out of its instance answers something else than it was asked.
fn out_of_turn() -> CallError {
    CallError::Trapped { message: "it answered another question".to_owned(), stderr: String::new() }
}

/// A provisioner that is a WebAssembly component.
///
/// Its calls need a tokio runtime with time and input, for the wall clock around them. The first call loads the
/// component, and compiles it when neither the binary nor the cache has its native code.
pub struct WasmProvisioner {
    plugin: Plugin,
    place: Place,
    limits: Limits,
}

impl WasmProvisioner {
    pub(crate) fn new(plugin: Plugin, place: Place, limits: Limits) -> Self {
        Self { plugin, place, limits }
    }

    /// The same provisioner under other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The limits of each call.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Starts the component and asks it for its manifest, whatever is known of it already: how long that takes is how long
    /// a start takes.
    pub fn start(&self) -> Result<String, CallError> {
        self.place.describe(&self.limits)
    }

    async fn call(
        &self,
        invocation: Invocation,
        host: Box<dyn HostCalls>,
    ) -> Result<Returned, CallError> {
        let wall = self.limits.wall;
        let call = self.place.call(invocation, &self.limits, host);
        tokio::time::timeout(wall, call).await.unwrap_or_else(|_| {
            let why = format!("it did not end within {} seconds", wall.as_secs());
            Err(CallError::Exhausted(why))
        })
    }
}

#[async_trait]
impl Provisioner for WasmProvisioner {
    fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    async fn apply(
        &self,
        service: ServiceInput,
        recorded: Option<ResourceRecord>,
        host: Box<dyn HostCalls>,
    ) -> Result<Outcome, CallError> {
        match self.call(Invocation::Apply { service, recorded }, host).await? {
            Returned::Apply(outcome) => Ok(outcome),
            _ => Err(out_of_turn()),
        }
    }

    async fn read(
        &self,
        service: ServiceInput,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<Option<ResourceRecord>, CallError> {
        match self.call(Invocation::Read { service, recorded }, host).await? {
            Returned::Read(seen) => Ok(seen),
            _ => Err(out_of_turn()),
        }
    }

    async fn destroy(
        &self,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<(), CallError> {
        match self.call(Invocation::Destroy { recorded }, host).await? {
            Returned::Destroy => Ok(()),
            _ => Err(out_of_turn()),
        }
    }
}
