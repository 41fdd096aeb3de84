//! Which imports a component may have, checked on its bytes before anything is compiled.
//!
//! The list is published in `wit/README.md`; a test compares the two.

use ss_core::text::printable;
use wasmparser::{Parser, Payload};

use crate::load::LoadFailure;

/// The interface that makes a component a provisioner.
const LIFECYCLE: &str = "starsystem:provisioner/lifecycle";
/// The contract's track; any patch version of it fits.
const TRACK: &str = "0.1";

/// How much of a component's own words is shown.
const NAME: usize = 200;

/// What a component gets when it imports an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The contract itself.
    Contract,
    /// WASI, answered by the host: the recorded clock and chance, an empty environment, captured output.
    Host,
    /// WASI that language runtimes import and never need: there are no directories, and a call of anything else ends
    /// the provisioner with an error that names the function.
    Denied,
}

/// An interface that a component may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedImport {
    /// Its name without the version.
    pub interface: &'static str,
    /// The versions that fit: this one and its patches.
    pub track: &'static str,
    /// What the component gets.
    pub answered: Answered,
}

const fn allow(interface: &'static str, track: &'static str, answered: Answered) -> AllowedImport {
    AllowedImport { interface, track, answered }
}

/// Every interface that a component may import. Anything else is refused by name.
pub const ALLOWED_IMPORTS: &[AllowedImport] = &[
    allow("starsystem:provisioner/model", TRACK, Answered::Contract),
    allow("starsystem:provisioner/api", TRACK, Answered::Contract),
    allow("starsystem:provisioner/secrets", TRACK, Answered::Contract),
    allow("starsystem:provisioner/progress", TRACK, Answered::Contract),
    allow("starsystem:provisioner/clock", TRACK, Answered::Contract),
    allow("wasi:io/error", "0.2", Answered::Host),
    allow("wasi:io/poll", "0.2", Answered::Host),
    allow("wasi:io/streams", "0.2", Answered::Host),
    allow("wasi:clocks/monotonic-clock", "0.2", Answered::Host),
    allow("wasi:clocks/wall-clock", "0.2", Answered::Host),
    allow("wasi:random/random", "0.2", Answered::Host),
    allow("wasi:random/insecure", "0.2", Answered::Host),
    allow("wasi:random/insecure-seed", "0.2", Answered::Host),
    allow("wasi:cli/environment", "0.2", Answered::Host),
    allow("wasi:cli/exit", "0.2", Answered::Host),
    allow("wasi:cli/stdin", "0.2", Answered::Host),
    allow("wasi:cli/stdout", "0.2", Answered::Host),
    allow("wasi:cli/stderr", "0.2", Answered::Host),
    allow("wasi:cli/terminal-input", "0.2", Answered::Host),
    allow("wasi:cli/terminal-output", "0.2", Answered::Host),
    allow("wasi:cli/terminal-stdin", "0.2", Answered::Host),
    allow("wasi:cli/terminal-stdout", "0.2", Answered::Host),
    allow("wasi:cli/terminal-stderr", "0.2", Answered::Host),
    allow("wasi:filesystem/types", "0.2", Answered::Denied),
    allow("wasi:filesystem/preopens", "0.2", Answered::Denied),
    allow("wasi:sockets/network", "0.2", Answered::Denied),
    allow("wasi:sockets/instance-network", "0.2", Answered::Denied),
    allow("wasi:sockets/ip-name-lookup", "0.2", Answered::Denied),
    allow("wasi:sockets/tcp", "0.2", Answered::Denied),
    allow("wasi:sockets/tcp-create-socket", "0.2", Answered::Denied),
    allow("wasi:sockets/udp", "0.2", Answered::Denied),
    allow("wasi:sockets/udp-create-socket", "0.2", Answered::Denied),
];

/// The entry of the list that an import's full name belongs to.
pub(crate) fn allowed(import: &str) -> Option<&'static AllowedImport> {
    let (interface, version) = import.split_once('@')?;
    ALLOWED_IMPORTS.iter().find(|entry| entry.interface == interface && fits(version, entry.track))
}

/// The interfaces that a component imports, with their versions, in its own order.
pub fn imports_of(component: &[u8]) -> Result<Vec<String>, LoadFailure> {
    let (imports, _) = names(component)?;
    Ok(imports.iter().map(|import| printable(import, NAME)).collect())
}

/// Checks a component's own imports and exports, without compiling and without looking inside its modules.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadFailure> {
    let (imports, exports) = names(bytes)?;
    if let Some(import) = imports.into_iter().find(|import| allowed(import).is_none()) {
        return Err(LoadFailure::ForbiddenImport(printable(&import, NAME)));
    }
    check_contract(&exports)
}

fn check_contract(exports: &[String]) -> Result<(), LoadFailure> {
    let versions: Vec<_> =
        exports.iter().filter_map(|name| name.strip_prefix(LIFECYCLE)?.strip_prefix('@')).collect();
    if versions.iter().any(|version| fits(version, TRACK)) {
        return Ok(());
    }
    let version = versions.first().map(|version| printable(version, NAME));
    Err(LoadFailure::Contract(match version {
        None => format!("it is no provisioner: it does not export `{LIFECYCLE}@{TRACK}.0`"),
        Some(version) => format!(
            "it speaks version {version} of the provisioner contract and this `ss` speaks {TRACK}; \
             use an `ss` that speaks {version}, or build the plugin for {TRACK}"
        ),
    }))
}

fn fits(version: &str, track: &str) -> bool {
    version.strip_prefix(track).is_some_and(|rest| {
        rest.strip_prefix('.').is_some_and(|patch| {
            !patch.is_empty() && patch.bytes().all(|digit| digit.is_ascii_digit())
        })
    })
}

/// The names a component imports and exports at its top level.
fn names(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), LoadFailure> {
    let broken =
        |error: wasmparser::BinaryReaderError| LoadFailure::NotAComponent(error.to_string());
    if !Parser::is_component(bytes) {
        let text = "it does not begin like a WebAssembly component".to_owned();
        return Err(LoadFailure::NotAComponent(text));
    }
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_fits_its_track() {
        assert!(fits("0.2.0", "0.2") && fits("0.2.12", "0.2"));
        for other in ["0.2", "0.2.", "0.20.0", "0.3.0", "0.2.0-rc", "0.2.1.1", ""] {
            assert!(!fits(other, "0.2"), "{other}");
        }
    }

    #[test]
    fn unlisted_interfaces_and_bare_names_are_not_allowed() {
        assert!(allowed("wasi:io/poll@0.2.9").is_some());
        for other in
            ["wasi:http/types@0.2.9", "wasi:io/poll", "wasi:io/poll@0.3.0", "env", "a:b/c@0.1.0"]
        {
            assert!(allowed(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_contract_is_known_by_its_export() {
        let exports =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(
            check_contract(&exports(&["init", "starsystem:provisioner/lifecycle@0.1.3"])).is_ok()
        );
        let text = |names: &[&str]| check_contract(&exports(names)).unwrap_err().to_string();
        assert!(text(&["starsystem:provisioner/lifecycle@0.2.0"]).contains("speaks version 0.2.0"));
        assert!(text(&["run"]).contains("it is no provisioner"));
    }

    #[test]
    fn what_is_no_component_is_said_so() {
        let text = check(b"#!/bin/sh").unwrap_err().to_string();
        assert!(text.contains("does not begin like a WebAssembly component"), "{text}");
        let module = b"\0asm\x01\0\0\0";
        assert!(check(module).is_err());
        let cut = b"\0asm\x0d\0\x01\0\x07\xff";
        assert!(matches!(check(cut), Err(LoadFailure::NotAComponent(_))));
    }

    #[test]
    fn a_component_cannot_write_to_the_terminal_by_its_names() {
        let name = b"evil\x1b[2J";
        let import = [&[1, 0, name.len() as u8][..], name, &[5, 0]].concat();
        let component = [b"\0asm\x0d\0\x01\0\x0a", &[import.len() as u8][..], &import].concat();
        match check(&component) {
            Err(LoadFailure::ForbiddenImport(import)) => assert_eq!(import, "evil\\u{1b}[2J"),
            other => panic!("expected a forbidden import, not {other:?}"),
        }
    }
}
