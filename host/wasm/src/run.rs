//! One call of a guest: a fresh store and instance, limits around it, and four kinds of end.

use std::pin::Pin;

use ss_core::text::printable;
use ss_ports::{CallError, HostCalls};
use wasmtime::component::{Component, Linker};
use wasmtime::{Store, Trap};

use crate::abi::v0_1::{self, Lifecycle, ProvisionerPre};
use crate::engine::{Ticking, engine, ticks};
use crate::limits::Limits;
use crate::state::{State, Stop};
use crate::wasi;

/// A future of a guest's answer.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// Links a component. What does not fit the contract is said here, in a sentence.
pub(crate) fn prepare(component: &Component) -> Result<ProvisionerPre<State>, String> {
    let mut linker = Linker::new(engine());
    v0_1::link(&mut linker)
        .and_then(|()| wasi::link(&mut linker, component))
        .and_then(|()| linker.instantiate_pre(component))
        .and_then(ProvisionerPre::new)
        .map_err(|error| printable(&format!("it does not fit the contract: {error:#}"), 1_000))
}

/// Calls one function in a fresh instance. The store is dropped whatever happens.
pub(crate) async fn call<T>(
    prepared: &ProvisionerPre<State>,
    limits: &Limits,
    host: Box<dyn HostCalls>,
    function: impl for<'a> FnOnce(&'a Lifecycle, &'a mut Store<State>) -> Answer<'a, T> + Send,
) -> Result<T, CallError> {
    let _ticking = Ticking::start();
    let mut store = store(host, limits);
    let answer = async {
        let instance = prepared.instantiate_async(&mut store).await?;
        function(instance.starsystem_provisioner_lifecycle(), &mut store).await
    };
    let answer = answer.await;
    answer.map_err(|error| ended(error, &store))
}

fn store(host: Box<dyn HostCalls>, limits: &Limits) -> Store<State> {
    let mut store = Store::new(engine(), State::new(host, limits.clone()));
    store.limiter(|state| &mut state.host.usage);
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| store.data_mut().host.usage.tick(ticks()));
    store
}

/// Sorts an error by what the user does about it.
fn ended(error: wasmtime::Error, store: &Store<State>) -> CallError {
    let trapped = |message: String| CallError::Trapped {
        message: printable(&message, 1_000),
        stderr: store.data().printed.text(),
    };
    match error.downcast::<Stop>() {
        Ok(Stop::Broke(message)) => trapped(message),
        Ok(stop) => stop.into(),
        Err(error) => match error.downcast_ref::<Trap>() {
            Some(trap) => trapped(trap.to_string()),
            None if is_hostcall_fuel(&error) => {
                CallError::Exhausted("it handed over too much data at once".to_owned())
            }
            None => trapped(error.root_cause().to_string()),
        },
    }
}

/// Wasmtime keeps the type of this error to itself; a test drives it.
fn is_hostcall_fuel(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}

impl From<Stop> for CallError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Aborted(abort) => Self::Aborted(abort),
            Stop::Exhausted(text) => Self::Exhausted(text),
            Stop::Unusable(text) => Self::Unusable(text),
            Stop::Broke(message) => Self::Trapped { message, stderr: String::new() },
        }
    }
}
