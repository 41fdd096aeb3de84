//! The plugins that are part of the binary: compiled when it was built, ordinary plugins otherwise.

use crate::code::Code;
use crate::limits::Limits;
use crate::load::plugin;
use crate::provisioner::{Place, WasmProvisioner};

/// A component that was compiled when `ss` was built.
struct Embedded {
    /// SHA-256 of the component, in hexadecimal.
    digest: &'static str,
    /// Its size in bytes.
    size: usize,
    manifest: &'static str,
    compiled: &'static [u8],
}

/// The first-party plugins. Cheap: nothing is loaded before the first call.
pub fn first_party() -> Vec<WasmProvisioner> {
    EMBEDDED
        .iter()
        .map(|embedded| {
            let plugin = plugin(embedded.digest, embedded.manifest)
                .expect("the manifest of a first-party plugin was checked by a test");
            let limits = Limits::for_component(embedded.size);
            let place = Place::new(Code::Embedded(embedded.compiled), None);
            WasmProvisioner::new(plugin, place, limits)
        })
        .collect()
}

include!(concat!(env!("OUT_DIR"), "/first_party.rs"));
