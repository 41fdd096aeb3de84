//! Where a component's native code comes from: the binary itself, the cache, or the compiler.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use ss_core::text::printable;
use ss_wasm_config::WASMTIME_VERSION;
use wasmtime::component::Component;

use crate::abi::v0_1::ProvisionerPre;
use crate::cache::Cache;
use crate::compiler;
use crate::engine::engine;
use crate::run;
use crate::state::State;

/// A component that is not loaded yet.
pub(crate) enum Code {
    /// Compiled when `ss` was built.
    Embedded(&'static [u8]),
    /// A component as it came, and where its compiled form may be kept.
    Plain {
        component: Vec<u8>,
        /// SHA-256 in hexadecimal.
        digest: String,
        cache: Option<Cache>,
    },
}

impl Code {
    /// Keeps something about the component, where there is a cache.
    pub(crate) fn keep(&self, name: &str, content: &[u8]) {
        if let Self::Plain { cache: Some(cache), .. } = self {
            // A cache that cannot be written costs time, not the deploy.
            let _ = cache.put(name, content);
        }
    }

    /// Loads the component and links it, compiling it when nothing better is at hand.
    pub(crate) fn prepare(&self) -> Result<ProvisionerPre<State>, String> {
        let component = match self {
            Self::Embedded(compiled) => deserialize(compiled).map_err(|error| format!("{error:#}")),
            Self::Plain { component, digest, cache } => compiled(component, digest, cache.as_ref()),
        }?;
        run::prepare(&component)
    }
}

fn compiled(bytes: &[u8], digest: &str, cache: Option<&Cache>) -> Result<Component, String> {
    let prefix = format!("{digest}-");
    let name = format!("{prefix}{WASMTIME_VERSION}-{}.cwasm", engine_hash());
    let kept = cache.and_then(|cache| cache.get(&name));
    if let Some(component) = kept.and_then(|kept| deserialize(&kept).ok()) {
        return Ok(component);
    }
    let unusable =
        |error: wasmtime::Error| printable(&format!("it does not compile: {error:#}"), 1_000);
    let compiled = compiler::compile(bytes).map_err(|error| printable(&error, 1_000))?;
    let _ = cache.map(|cache| cache.put_instead(&prefix, &name, &compiled));
    deserialize(&compiled).map_err(unusable)
}

#[expect(unsafe_code, reason = "compiled code is native code; see SAFETY for why it is ours")]
fn deserialize(compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from this binary, from the compiler a moment ago, or from the cache, which gives out
    // only what carries a code made with this user's own key. Nothing else reaches this private function.
    unsafe { Component::deserialize(engine(), compiled) }
}

/// Everything that changes compiled code, as eight bytes in hexadecimal.
fn engine_hash() -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn finish(&self) -> u64 {
            let digest = self.0.clone().finalize();
            digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut hasher = Sha(Sha256::new());
    engine().precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
