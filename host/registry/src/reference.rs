//! A plugin's reference, as it stands in `starsystem.yaml`, and the component behind it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ss_core::text::printable;
use ss_core::value::digest_bytes;

/// The largest component that is read.
pub const COMPONENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
const WASM_MARK: &[u8] = b"\0asm";
const SHOWN_CHARS_MAX: usize = 200;

/// Why a reference leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It is neither a path nor anything else that is known.
    #[error("`{reference}` is not a plugin reference: write a path that begins with `./`")]
    Unclear {
        /// The reference, safe to print.
        reference: String,
    },
    /// It names a registry or an address, and fetching comes in a later version.
    #[error(
        "`{reference}` is in a registry, and this version of `ss` does not fetch plugins yet: download the component \
         and refer to the file"
    )]
    NotYetSupported {
        /// The reference, safe to print.
        reference: String,
    },
    /// The file is no component.
    #[error("{} is not a WebAssembly component", .path.display())]
    NotWasm {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than a component may be.
    #[error("{} is larger than {} MiB", .path.display(), COMPONENT_BYTES_MAX / 1024 / 1024)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// In a file.
    File(PathBuf),
}

/// A component's bytes with their digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Component {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `sha256:…` of them.
    pub digest: String,
}

/// Understands a reference; paths are relative to the directory of `starsystem.yaml`.
pub fn resolve(reference: &str, base_dir: &Path) -> Result<Reference, ReferenceError> {
    let shown = || printable(reference, SHOWN_CHARS_MAX);
    if is_explicit_path(reference) {
        return Ok(Reference::File(base_dir.join(reference)));
    }
    if is_remote(reference) {
        return Err(ReferenceError::NotYetSupported { reference: shown() });
    }
    if reference.ends_with(".wasm") {
        return Ok(Reference::File(base_dir.join(reference)));
    }
    Err(ReferenceError::Unclear { reference: shown() })
}

fn is_explicit_path(reference: &str) -> bool {
    ["./", "../", "/"].iter().any(|start| reference.starts_with(start))
}

/// `oci://…`, `https://…`, or an image name whose first part is a host.
fn is_remote(reference: &str) -> bool {
    let is_host = |part: &str| part == "localhost" || part.contains(['.', ':']);
    reference.contains("://") || reference.split_once('/').is_some_and(|(first, _)| is_host(first))
}

impl Reference {
    /// Reads the component and takes its digest.
    pub fn read(&self) -> Result<Component, ReferenceError> {
        let Self::File(path) = self;
        let unreadable = |source| ReferenceError::Unreadable { path: path.clone(), source };
        // Opening a pipe would wait for a writer, and a device may have no end.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is not a file")));
        }
        let mut bytes = Vec::new();
        fs::File::open(path)
            .and_then(|file| file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > COMPONENT_BYTES_MAX {
            return Err(ReferenceError::TooLarge { path: path.clone() });
        }
        if !bytes.starts_with(WASM_MARK) {
            return Err(ReferenceError::NotWasm { path: path.clone() });
        }
        let digest = digest_bytes(&bytes);
        Ok(Component { bytes, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_system() {
        let base = Path::new("/home/me/app");
        for (reference, path) in [
            ("./demo.wasm", "/home/me/app/./demo.wasm"),
            ("../demo", "/home/me/app/../demo"),
            ("/opt/demo.wasm", "/opt/demo.wasm"),
            ("plugins/demo.wasm", "/home/me/app/plugins/demo.wasm"),
            ("demo.wasm", "/home/me/app/demo.wasm"),
            ("./ghcr.io/demo:1", "/home/me/app/./ghcr.io/demo:1"),
        ] {
            let Ok(Reference::File(resolved)) = resolve(reference, base) else {
                panic!("{reference}")
            };
            assert_eq!(resolved, Path::new(path));
        }
    }

    #[test]
    fn a_registry_is_recognised_and_not_yet_supported() {
        for reference in [
            "ghcr.io/acme/demo:1",
            "ghcr.io/acme/demo@sha256:00",
            "localhost/demo",
            "localhost:5000/demo",
            "oci://registry/demo",
            "https://example.com/demo.wasm",
            "registry.example.com/demo.wasm",
        ] {
            let refused = resolve(reference, Path::new("."));
            assert!(matches!(refused, Err(ReferenceError::NotYetSupported { .. })), "{reference}");
        }
    }

    #[test]
    fn anything_else_is_unclear_and_safe_to_print() {
        for reference in ["", "demo", "acme/demo", "\u{1b}[2Jdemo"] {
            let refused = resolve(reference, Path::new(".")).unwrap_err();
            assert!(matches!(refused, ReferenceError::Unclear { .. }), "{reference}");
            assert!(!refused.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn reads_a_component_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(directory.path().join(name), bytes).unwrap();
            resolve(&format!("./{name}"), directory.path()).unwrap()
        };
        let component = write("good", b"\0asm\x0d\0\x01\0").read().unwrap();
        assert_eq!(component.digest, digest_bytes(&component.bytes));
        assert_eq!(component.bytes, b"\0asm\x0d\0\x01\0");
        assert!(matches!(write("text", b"hello").read(), Err(ReferenceError::NotWasm { .. })));
        let unreadable = |reference: &str| resolve(reference, directory.path()).unwrap().read();
        for reference in ["./absent.wasm", "./", "/dev/zero"] {
            let refused = unreadable(reference);
            assert!(matches!(refused, Err(ReferenceError::Unreadable { .. })), "{reference}");
        }
        let large = fs::File::create(directory.path().join("large")).unwrap();
        large.set_len(COMPONENT_BYTES_MAX + 1).unwrap();
        assert!(matches!(unreadable("./large"), Err(ReferenceError::TooLarge { .. })));
    }
}
