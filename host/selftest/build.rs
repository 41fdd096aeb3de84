//! Builds the hostile component that is part of the binary.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use ss_wasm_build::Workspace;

/// What it is made of, below the repository's root.
const SOURCES: &[&str] = &[
    "tests/guests/Cargo.toml",
    "tests/guests/Cargo.lock",
    "tests/guests/guest",
    "tests/guests/hostile",
    "wit/provisioner-0.1",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(error) = build() {
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let workspace = Workspace::new(root.join("tests/guests"), out.join("guests"));
    fs::write(out.join("hostile.wasm"), workspace.build(&["hostile"])?.remove(0))?;
    Ok(())
}
