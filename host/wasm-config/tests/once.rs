//! Wasmtime is the largest thing in the build. It is compiled once, for the build script and for the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// `name version` of each package in a tree, and the feature sets it appears with.
fn packages(arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = ["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}|{f}"];
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(tree)
        .args(arguments)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packages = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (package, features) = line.trim_end_matches(" (*)").split_once('|').unwrap_or_default();
        packages.entry(package.to_owned()).or_default().insert(features.to_owned());
    }
    packages
}

#[test]
fn nothing_below_wasmtime_has_two_sets_of_features() {
    let below = packages(&["--package", "wasmtime", "--edges", "normal"]);
    assert!(below.len() > 50, "the tree was read");
    let twice: Vec<_> = packages(&["--package", "ss", "--edges", "normal,build"])
        .into_iter()
        .filter(|(package, sets)| below.contains_key(package) && sets.len() > 1)
        .map(|(package, sets)| format!("{package}: {}", Vec::from_iter(sets).join(" / ")))
        .collect();
    assert!(
        twice.is_empty(),
        "wasmtime would be compiled twice; give ss-wasm-config the union of these features:\n{}",
        twice.join("\n")
    );
}
