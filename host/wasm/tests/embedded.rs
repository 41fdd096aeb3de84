//! The plugins in the binary are ordinary plugins, and their bytes depend on their sources alone.

use std::path::Path;

use serde_json::json;
use ss_ports::{CallError, Provisioner};
use ss_testkit::ScriptedHost;
use ss_wasm::{first_party, load};
use ss_wasm_build::{Workspace, sha256};

use crate::guests::{apply_target, root};

/// Builds the first-party components from a copy of their sources and returns them in the order of the list.
fn built_elsewhere() -> Vec<Vec<u8>> {
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    for part in ["plugins", "sdk/rust", "wit"] {
        copy(&root().join(part), &elsewhere.path().join(part));
    }
    let target = elsewhere.path().join("some/other/target");
    let workspace = Workspace::new(elsewhere.path().join("plugins"), target);
    let packages = first_party()
        .iter()
        .map(|plugin| format!("ss-plugin-{}", plugin.plugin().pin.name.as_str()))
        .collect::<Vec<_>>();
    let packages = packages.iter().map(String::as_str).collect::<Vec<_>>();
    workspace.build(&packages).expect("builds")
}

#[test]
fn the_same_sources_make_the_same_bytes_and_a_file_is_the_same_plugin() {
    for (embedded, component) in first_party().iter().zip(built_elsewhere()) {
        let name = embedded.plugin().pin.name.as_str();
        let digest = format!("sha256:{}", sha256(&component));
        assert_eq!(embedded.plugin().pin.digest, digest, "two builds of `{name}` differ");
        let file = load(component, name, None, None).expect("loads as a file");
        assert_eq!(embedded.plugin().pin, file.plugin().pin);
        assert_eq!(
            embedded.plugin().manifest,
            file.plugin().manifest,
            "manifest.json is what `{name}` says of itself"
        );
    }
}

#[tokio::test]
async fn embedded_code_is_accepted_and_runs() {
    let plugins = first_party();
    assert!(!plugins.is_empty());
    for plugin in plugins {
        // A target without its required fields: any answer of the plugin's own will do.
        let end = apply_target(&plugin, json!({}), ScriptedHost::new([])).await;
        assert!(
            matches!(end, Err(CallError::Failed(_) | CallError::Aborted(_))),
            "{}: {end:?}",
            plugin.plugin().pin.name.as_str()
        );
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_symlink() {
            let target = std::fs::read_link(&path).expect("reads the link");
            std::os::unix::fs::symlink(target, &to).expect("links");
        } else if path.is_dir() && entry.file_name() != "target" {
            copy(&path, &to);
        } else if path.is_file() {
            std::fs::copy(&path, &to).expect("copies");
        }
    }
}
