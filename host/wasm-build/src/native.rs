//! From a component to native code.

use sha2::{Digest, Sha256};

/// Compiles a component for a target triple, with the configuration that `ss` runs with. Naming the target keeps the
/// code to what every machine of that kind can do.
pub fn precompile(component: &[u8], target: &str) -> wasmtime::Result<Vec<u8>> {
    let mut config = ss_wasm_config::engine_config();
    config.target(target)?;
    wasmtime::Engine::new(&config)?.precompile_component(component)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
