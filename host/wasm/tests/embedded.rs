//! The plugins in the binary are ordinary plugins, and their bytes depend on their sources alone.

use std::path::Path;

use ss_wasm_build::Workspace;

use crate::guests::{component, root};

#[test]
fn the_same_sources_make_the_same_bytes_anywhere() {
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    for part in ["wit/provisioner-0.1", "tests/guests"] {
        copy(&root().join(part), &elsewhere.path().join(part));
    }
    let workspace =
        Workspace::new(elsewhere.path().join("tests/guests"), elsewhere.path().join("target"));
    let again = workspace.build(&["smoke"]).expect("builds");
    assert!(again[0] == component("smoke"), "two builds in two places differ");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() && entry.file_name() != "target" {
            copy(&path, &to);
        } else if path.is_file() {
            std::fs::copy(&path, &to).expect("copies");
        }
    }
}
