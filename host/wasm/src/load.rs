//! A component from a file becomes a provisioner.
//!
//! In this order: its size, its imports and its contract are checked; it is compiled, or found in the cache; it
//! describes itself in an instance without rights; what it says is checked. After the first time the cache answers,
//! and nothing is compiled or run until the first call.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use ss_core::ident::PluginName;
use ss_core::state::PluginPin;
use ss_gate::ManifestError;
use ss_gate::manifest::Manifest;
use ss_ports::{CallError, Plugin};

use crate::cache::Cache;
use crate::code::Code;
use crate::imports;
use crate::limits::Limits;
use crate::provisioner::{Place, WasmProvisioner};
use crate::wall::Wall;

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
    #[error("its manifest cannot be had: {0}{printed}", printed = printed(.0))]
    Silent(CallError),
    /// What it says of itself cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What it printed before it crashed, as lines of their own.
fn printed(error: &CallError) -> String {
    let CallError::Trapped { stderr, .. } = error else { return String::new() };
    stderr.lines().map(|line| format!("\n  | {line}")).collect()
}

/// Loads a component. `name` is what the user calls it and appears in errors only; the plugin's own name is in its
/// manifest. Without a cache directory, or with one that cannot be used, everything is worked out anew. Behind a wall,
/// none of the component's code runs in this process.
pub fn load(
    component: Vec<u8>,
    name: &str,
    cache_directory: Option<&Path>,
    wall: Option<&Wall>,
) -> Result<WasmProvisioner, LoadError> {
    checked(component, cache_directory, wall)
        .map_err(|failure| LoadError { plugin: name.to_owned(), failure })
}

fn checked(
    component: Vec<u8>,
    cache_directory: Option<&Path>,
    wall: Option<&Wall>,
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
    let place = Place::new(code, wall);
    if let Some(document) = document {
        return Ok(WasmProvisioner::new(plugin(&digest, &document)?, place, limits));
    }
    let document = place.describe(&limits).map_err(|error| match error {
        CallError::Unusable(why) => LoadFailure::Unusable(why),
        error => LoadFailure::Silent(error),
    })?;
    let plugin = plugin(&digest, &document)?;
    place.code().keep(&kept, document.as_bytes());
    Ok(WasmProvisioner::new(plugin, place, limits))
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
