//! Builds the first-party components, compiles them to native code, and writes the list that the binary embeds.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use ss_wasm_build::{Workspace, precompile, sha256};

/// The first-party plugins: folders below `plugins/`, packages `ss-plugin-<name>`.
const FIRST_PARTY: &[&str] = &["neon", "fly"];

/// What all of them are made of, below the repository's root.
const SHARED: &[&str] = &[
    "plugins/Cargo.toml",
    "plugins/Cargo.lock",
    "sdk/rust/Cargo.toml",
    "sdk/rust/src",
    "wit/provisioner-0.1",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(error) = embed() {
        for line in error.to_string().lines() {
            println!("cargo::error={line}");
        }
    }
}

fn embed() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut list = "static EMBEDDED: &[Embedded] = &[\n".to_owned();
    watch(&root);
    let workspace = Workspace::new(root.join("plugins"), out.join("components"));
    let packages: Vec<_> = FIRST_PARTY.iter().map(|name| format!("ss-plugin-{name}")).collect();
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    for (name, component) in FIRST_PARTY.iter().zip(workspace.build(&packages)?) {
        let manifest = root.join("plugins").join(name).join("manifest.json");
        fs::copy(&manifest, out.join(format!("{name}.json")))
            .map_err(|error| format!("{}: {error}", manifest.display()))?;
        let compiled = precompile(&component, &env::var("TARGET")?)?;
        fs::write(out.join(format!("{name}.cwasm")), compiled)?;
        entry(&mut list, name, &component)?;
    }
    list.push_str("];\n");
    fs::write(out.join("first_party.rs"), list)?;
    Ok(())
}

fn entry(list: &mut String, name: &str, component: &[u8]) -> std::fmt::Result {
    writeln!(
        list,
        "    Embedded {{ digest: \"{}\", size: {}, manifest: include_str!(\"{name}.json\"), \
         compiled: include_bytes!(\"{name}.cwasm\") }},",
        sha256(component),
        component.len(),
    )
}

fn watch(root: &Path) {
    let own = FIRST_PARTY.iter().flat_map(|name| {
        ["Cargo.toml", "manifest.json", "src"].map(|part| format!("plugins/{name}/{part}"))
    });
    for source in SHARED.iter().map(|source| (*source).to_owned()).chain(own) {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
}
