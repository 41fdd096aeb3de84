//! The components of `tests/guests`, built once per test process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use ss_gate::call::{NamedSecret, Outcome, ServiceInput};
use ss_ports::{CallError, HostCalls, Provisioner};
use ss_wasm::{WasmProvisioner, load};
use ss_wasm_build::Workspace;

/// Every component of the workspace.
const ALL: &[&str] = &[
    "allocate_forever",
    "bad_json",
    "deep_recursion",
    "export_missing",
    "export_newer",
    "export_other_types",
    "hostile",
    "huge_string",
    "import_foreign",
    "loop_calls",
    "loop_forever",
    "loop_manifest",
    "manifest_asks",
    "manifest_bad",
    "sleep_forever",
    "smoke",
    "ssh_box",
    "trap_exit",
    "trap_panic",
    "trap_socket",
    "trap_unreachable",
    "wait_often",
    "wasi_surroundings",
];

static BUILT: LazyLock<BTreeMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let components = Workspace::new(directory(), target).build(ALL).expect("the guests build");
    ALL.iter().copied().zip(components).collect()
});

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root exists")
}

fn directory() -> PathBuf {
    root().join("tests/guests")
}

/// A component's bytes.
pub fn component(name: &str) -> Vec<u8> {
    BUILT[name].clone()
}

/// A component of `tests/guests`, loaded.
pub fn guest(name: &str) -> WasmProvisioner {
    loaded(component(name), name)
}

/// A component, loaded through a cache that outlives the tests: compiling takes longer than all of them.
pub fn loaded(component: Vec<u8>, name: &str) -> WasmProvisioner {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    load(component, name, Some(&cache), None).expect("the component loads")
}

/// A service with one input.
pub fn service(target: Value) -> ServiceInput {
    ServiceInput {
        id: "thing".to_owned(),
        target,
        inputs: vec![NamedSecret { name: "TOKEN".to_owned(), value: 7 }],
        mark: "ss-mark".to_owned(),
    }
}

/// Applies with a target that does not matter.
pub async fn apply(
    provisioner: &WasmProvisioner,
    host: impl HostCalls + 'static,
) -> Result<Outcome, CallError> {
    apply_target(provisioner, json!({}), host).await
}

/// Applies a service that is not recorded yet.
pub async fn apply_target(
    provisioner: &WasmProvisioner,
    target: Value,
    host: impl HostCalls + 'static,
) -> Result<Outcome, CallError> {
    provisioner.apply(service(target), None, Box::new(host)).await
}

#[test]
fn every_component_is_listed() {
    let folders = std::fs::read_dir(directory()).expect("lists");
    let crates = folders.flatten().filter(|folder| folder.path().join("lib.rs").exists());
    let mut names: Vec<_> =
        crates.map(|folder| folder.file_name().into_string().expect("a plain name")).collect();
    names.sort();
    assert_eq!(names, ALL);
}
