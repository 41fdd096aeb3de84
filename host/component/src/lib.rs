//! Makes a component out of a module that a compiler wrote, when its author's language stops at modules: C and Go.
//!
//! What the module imports and exports is named as the contract has it; the contract itself and what a language's runtime
//! asks of WASI are added here. A component is given back as it is. Deliberately absent: running compilers, files.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_PROXY_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../../wit/provisioner-0.1/provisioner.wit");
const WORLD: &str = "provisioner";
/// How a module begins; a component's fifth byte is another.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Why a module does not make a component, in the words of the tool that tried.
#[derive(Debug, thiserror::Error)]
#[error("the module does not make a provisioner: {0}")]
pub struct NotAProvisioner(String);

/// The component of a module; a component as it is.
pub fn component_of(mut bytes: Vec<u8>) -> Result<Vec<u8>, NotAProvisioner> {
    if !bytes.starts_with(MODULE) {
        return Ok(bytes);
    }
    let why = |error: &dyn std::fmt::Display| NotAProvisioner(format!("{error:#}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_str("provisioner.wit", CONTRACT).map_err(|error| why(&error))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| why(&error))?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| why(&error))?;
    // The smallest of the adapters: clocks, chance and standard streams, no files and no environment.
    ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| {
            encoder
                .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_PROXY_ADAPTER)
        })
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| why(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_given_back_as_it_is() {
        let component = wat::parse_str("(component)").expect("a component");
        assert_eq!(component_of(component.clone()).expect("a component"), component);
    }

    #[test]
    fn a_module_without_the_contract_is_told_what_is_missing() {
        let module = wat::parse_str("(module (memory (export \"memory\") 1))").expect("a module");
        let error = component_of(module).expect_err("no provisioner").to_string();
        assert!(error.contains("lifecycle@0.1.0"), "{error}");
    }
}
