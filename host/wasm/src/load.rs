//! A component from a file becomes a provisioner.
//!
//! In this order: its size, its imports and its contract are checked; it is compiled, or found in the cache; it
//! describes itself in an instance without rights; what it says is checked. After the first time the cache answers,
//! and nothing is compiled or run until the first call.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use ss_core::ident::PluginName;
use ss_core::state::PluginPin;
use ss_gate::ManifestError;
use ss_gate::call::{Call, CallFailure, NamedSecret, Reply, ResourceRecord, SecretIndex};
use ss_gate::manifest::Manifest;
use ss_ports::{Abort, CallError, HostCalls, Plugin};

use crate::abi::v0_1::{self, ProvisionerPre};
use crate::cache::Cache;
use crate::code::Code;
use crate::imports;
use crate::limits::Limits;
use crate::provisioner::WasmProvisioner;
use crate::run;
use crate::state::State;

/// Processor time for describing itself, which no user should wait for.
const DESCRIBING_TICKS: u64 = 200;
/// The largest component that is looked at.
const COMPONENT: usize = 64 << 20;

/// A plugin that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{plugin}` cannot be loaded: {failure}")]
pub struct LoadError {
    /// The name it was asked for by.
    pub plugin: String,
    /// What is wrong with it.
    pub failure: LoadFailure,
}

/// What can be wrong with a component.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// It is larger than any component that is looked at.
    #[error("it is {0} bytes large; {COMPONENT} is the most")]
    TooLarge(usize),
    /// The bytes are no component.
    #[error("it is not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// It wants something that no provisioner gets.
    #[error("it imports `{0}`, which no provisioner may use")]
    ForbiddenImport(String),
    /// It is a component for something else, or for another version of the contract.
    #[error("{0}")]
    Contract(String),
    /// It does not compile, or does not fit the contract's types.
    #[error("{0}")]
    Unusable(String),
    /// It failed to describe itself.
    #[error("its manifest cannot be had: {0}")]
    Silent(CallError),
    /// What it says of itself cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Loads a component. `name` is what the user calls it and appears in errors only; the plugin's own name is in its
/// manifest. Without a cache directory, or with one that cannot be used, everything is worked out anew.
pub fn load(
    component: Vec<u8>,
    name: &str,
    cache_directory: Option<&Path>,
) -> Result<WasmProvisioner, LoadError> {
    checked(component, cache_directory)
        .map_err(|failure| LoadError { plugin: name.to_owned(), failure })
}

fn checked(
    component: Vec<u8>,
    cache_directory: Option<&Path>,
) -> Result<WasmProvisioner, LoadFailure> {
    if component.len() > COMPONENT {
        return Err(LoadFailure::TooLarge(component.len()));
    }
    imports::check(&component)?;
    let digest = hexadecimal(&Sha256::digest(&component));
    let limits = Limits::for_component(component.len());
    let cache = cache_directory.and_then(|directory| Cache::open(directory).ok());
    let kept = format!("{digest}.manifest");
    let document = cache.as_ref().and_then(|cache| cache.get(&kept));
    let document = document.and_then(|document| String::from_utf8(document).ok());
    let code = Code::Plain { component, digest: digest.clone(), cache };
    if let Some(document) = document {
        return Ok(WasmProvisioner::new(plugin(&digest, &document)?, code, limits));
    }
    let prepared = code.prepare().map_err(LoadFailure::Unusable)?;
    let document = describe(&prepared, &limits).map_err(LoadFailure::Silent)?;
    let plugin = plugin(&digest, &document)?;
    code.keep(&kept, document.as_bytes());
    Ok(WasmProvisioner::new(plugin, code, limits).with_prepared(prepared))
}

/// A plugin by its digest and what it says of itself.
pub(crate) fn plugin(digest: &str, document: &str) -> Result<Plugin, ManifestError> {
    let manifest = Manifest::parse(document)?;
    let name = PluginName::new(manifest.name.as_str())
        .map_err(|error| ManifestError { problems: vec![error.to_string()] })?;
    let digest = format!("sha256:{digest}");
    let pin = PluginPin { name, version: manifest.version.clone(), digest };
    Ok(Plugin { pin, manifest: Arc::new(manifest) })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks a component for its manifest, with no rights.
fn describe(prepared: &ProvisionerPre<State>, limits: &Limits) -> Result<String, CallError> {
    let limits = Limits { cpu_ticks: DESCRIBING_TICKS, ..limits.clone() };
    let call = run::call(prepared, &limits, Box::new(NoRights), |lifecycle, store| {
        Box::pin(lifecycle.call_manifest(store))
    });
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    // A host without rights answers at once, so that the only waiting is the guest's yielding at a tick.
    loop {
        if let Poll::Ready(document) = call.as_mut().poll(&mut context) {
            return Ok(v0_1::manifest(document?)?);
        }
    }
}

/// The host of a component that describes itself. Language runtimes look at the clock and seed their hash tables when
/// they start: they get the epoch and zeroes. Everything else ends the call.
struct NoRights;

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
        Ok(0.0)
    }

    async fn wait(&mut self, _ms: u32) -> Result<(), Abort> {
        refuse("clock.wait")
    }

    async fn random(&mut self, count: u32) -> Result<Vec<u8>, Abort> {
        Ok(vec![0; count as usize])
    }
}
