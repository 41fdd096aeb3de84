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
        match self {
            Self::Embedded(compiled) => prepared(compiled),
            Self::Plain { .. } => match self.kept() {
                Some(kept) => prepared(&kept).or_else(|_| prepared(&self.compiled()?)),
                None => prepared(&self.compiled()?),
            },
        }
    }

    /// Its native code from the cache.
    pub(crate) fn kept(&self) -> Option<Vec<u8>> {
        let Self::Plain { digest, cache: Some(cache), .. } = self else { return None };
        cache.get(&entry(digest))
    }

    /// Its native code, made anew.
    pub(crate) fn compiled(&self) -> Result<Vec<u8>, String> {
        let (component, digest, cache) = match self {
            Self::Embedded(compiled) => return Ok(compiled.to_vec()),
            Self::Plain { component, digest, cache } => (component, digest, cache),
        };
        let compiled = compiler::compile(component).map_err(|error| printable(&error, 1_000))?;
        let (prefix, name) = (format!("{digest}-"), entry(digest));
        let _ = cache.as_ref().map(|cache| cache.put_instead(&prefix, &name, &compiled));
        Ok(compiled)
    }
}

/// What native code of this engine is called in the cache.
fn entry(digest: &str) -> String {
    format!("{digest}-{WASMTIME_VERSION}-{}.cwasm", engine_hash())
}

/// Loads native code that is ours, and links it.
pub(crate) fn prepared(compiled: &[u8]) -> Result<ProvisionerPre<State>, String> {
    let component = deserialize(compiled)
        .map_err(|error| printable(&format!("it cannot be loaded: {error:#}"), 1_000))?;
    run::prepare(&component)
}

#[expect(unsafe_code, reason = "compiled code is native code; see SAFETY for why it is ours")]
fn deserialize(compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from this binary, from the compiler a moment ago, from the cache, which gives out only
    // what carries a code made with this user's own key, or, behind the wall, from the parent, which has them from
    // there. Nothing else reaches this private function.
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
