//! A component as a provisioner: known by its manifest at once, loaded at its first call.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use ss_gate::call::{Outcome, ResourceRecord, ServiceInput};
use ss_ports::{CallError, HostCalls, Plugin, Provisioner};
use wasmtime::Store;

use crate::abi::v0_1::{self, Lifecycle, ProvisionerPre};
use crate::code::Code;
use crate::limits::Limits;
use crate::run::{self, Answer};
use crate::state::State;

/// A provisioner that is a WebAssembly component.
///
/// Its calls need a tokio runtime with time, for the wall clock around them. The first call loads the component, and
/// compiles it when neither the binary nor the cache has its native code.
pub struct WasmProvisioner {
    plugin: Plugin,
    code: Code,
    limits: Limits,
    prepared: OnceLock<Result<Arc<ProvisionerPre<State>>, String>>,
}

impl WasmProvisioner {
    pub(crate) fn new(plugin: Plugin, code: Code, limits: Limits) -> Self {
        Self { plugin, code, limits, prepared: OnceLock::new() }
    }

    /// The same provisioner, loaded already.
    pub(crate) fn with_prepared(self, prepared: ProvisionerPre<State>) -> Self {
        Self { prepared: OnceLock::from(Ok(Arc::new(prepared))), ..self }
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

    async fn call<T>(
        &self,
        host: Box<dyn HostCalls>,
        function: impl for<'a> FnOnce(&'a Lifecycle, &'a mut Store<State>) -> Answer<'a, T> + Send,
    ) -> Result<T, CallError> {
        let prepared = self.prepared.get_or_init(|| self.code.prepare().map(Arc::new));
        let prepared = prepared.as_ref().map_err(|why| CallError::Unusable(why.clone()))?;
        let call = run::call(prepared, &self.limits, host, function);
        match tokio::time::timeout(self.limits.wall, call).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Exhausted(out_of_time(self.limits.wall))),
        }
    }
}

fn out_of_time(wall: Duration) -> String {
    format!("it did not end within {} seconds", wall.as_secs())
}

fn failed(failure: v0_1::Failure) -> CallError {
    v0_1::failure(failure).map_or_else(CallError::from, CallError::Failed)
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
        let service = v0_1::handed_service(service);
        let recorded = recorded.map(v0_1::handed_record);
        let answer = self
            .call(host, move |lifecycle, store| {
                Box::pin(
                    async move { lifecycle.call_apply(store, &service, recorded.as_ref()).await },
                )
            })
            .await?;
        Ok(v0_1::outcome(answer.map_err(failed)?)?)
    }

    async fn read(
        &self,
        service: ServiceInput,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<Option<ResourceRecord>, CallError> {
        let service = v0_1::handed_service(service);
        let recorded = v0_1::handed_record(recorded);
        let answer = self
            .call(host, move |lifecycle, store| {
                Box::pin(async move { lifecycle.call_read(store, &service, &recorded).await })
            })
            .await?;
        Ok(v0_1::seen(answer.map_err(failed)?)?)
    }

    async fn destroy(
        &self,
        recorded: ResourceRecord,
        host: Box<dyn HostCalls>,
    ) -> Result<(), CallError> {
        let recorded = v0_1::handed_record(recorded);
        let answer = self
            .call(host, move |lifecycle, store| {
                Box::pin(async move { lifecycle.call_destroy(store, &recorded).await })
            })
            .await?;
        answer.map_err(failed)
    }
}
