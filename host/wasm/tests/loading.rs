//! Components as files: what is refused before it runs, and what the cache may be believed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use ss_ports::{CallError, Provisioner};
use ss_testkit::ScriptedHost;
use ss_wasm::{LoadFailure, load};
use ss_wasm_build::sha256;

use crate::guests::{apply, apply_target, component, guest};

fn refusal(name: &str) -> LoadFailure {
    match load(component(name), name, None, None) {
        Err(error) => error.failure,
        Ok(_) => panic!("{name} was loaded"),
    }
}

#[test]
fn a_foreign_import_is_refused_by_name() {
    match refusal("import_foreign") {
        LoadFailure::ForbiddenImport(import) => assert_eq!(import, "cloud:keys/keys@1.2.0"),
        other => panic!("expected a forbidden import, not {other}"),
    }
    let error = load(component("import_foreign"), "mine", None, None).err().expect("is refused");
    assert_eq!(
        error.to_string(),
        "plugin `mine` cannot be loaded: it imports `cloud:keys/keys@1.2.0`, which no provisioner may use"
    );
}

#[test]
fn what_is_no_provisioner_of_this_contract_is_refused() {
    let text = refusal("export_missing").to_string();
    assert!(text.starts_with("it is no provisioner"), "{text}");
    let text = refusal("export_newer").to_string();
    assert!(text.starts_with("it speaks version 0.9.0 of the provisioner contract"), "{text}");
    match refusal("export_other_types") {
        LoadFailure::Unusable(text) => {
            assert!(text.starts_with("it does not fit the contract"), "{text}");
        }
        other => panic!("expected a mismatch, not {other}"),
    }
}

#[test]
fn what_is_no_component_is_refused() {
    let refused =
        |bytes: &[u8]| load(bytes.to_vec(), "x", None, None).err().expect("is refused").failure;
    assert!(matches!(refused(b"<html>"), LoadFailure::NotAComponent(_)));
    assert!(matches!(refused(&[0; 65 << 20]), LoadFailure::TooLarge(_)));
    let whole = component("smoke");
    for length in (0..whole.len()).step_by(1_009) {
        drop(refused(&whole[..length]));
    }
}

#[test]
fn describing_itself_needs_no_rights_and_ends() {
    match refusal("manifest_asks") {
        LoadFailure::Silent(CallError::Aborted(abort)) => {
            assert!(abort.0.starts_with("it called `progress.step`"), "{abort}");
        }
        other => panic!("expected a refusal, not {other}"),
    }
    match refusal("loop_manifest") {
        LoadFailure::Silent(CallError::Exhausted(text)) => {
            assert!(text.starts_with("it used up its processor time"), "{text}");
        }
        other => panic!("expected a limit, not {other}"),
    }
    match refusal("manifest_bad") {
        LoadFailure::Manifest(error) => {
            assert!(error.to_string().contains("`twice` is declared twice"), "{error}");
        }
        other => panic!("expected a bad manifest, not {other}"),
    }
}

#[test]
fn a_plugin_is_known_by_its_manifest_and_digest() {
    let plugin = guest("smoke").plugin().clone();
    assert_eq!(plugin.pin.name.as_str(), "smoke");
    assert_eq!(plugin.pin.version, "0.1.0");
    assert_eq!(plugin.pin.digest, format!("sha256:{}", sha256(&component("smoke"))));
    assert_eq!(plugin.manifest.targets[0].kind, "smoke");
}

fn entry(cache: &Path, ending: &str) -> PathBuf {
    let entries = fs::read_dir(cache).expect("lists").flatten().map(|entry| entry.path());
    let mut entries = entries.filter(|path| path.extension().is_some_and(|found| found == ending));
    entries.next().expect("the entry exists")
}

async fn runs(cache: &Path) {
    let provisioner =
        load(component("wait_often"), "wait_often", Some(cache), None).expect("loads");
    let end = apply_target(&provisioner, json!({ "times": 1 }), ScriptedHost::new([])).await;
    assert!(end.is_ok(), "{end:?}");
}

#[tokio::test]
async fn compiled_code_is_kept_for_the_next_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = directory.path().join("aot");
    runs(&cache).await;
    let compiled = entry(&cache, "cwasm");
    let name = compiled.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(name.starts_with(&format!("{}-48.0.", sha256(&component("wait_often")))), "{name}");
    let written = fs::metadata(&compiled).and_then(|metadata| metadata.modified()).expect("a time");
    runs(&cache).await;
    let again = fs::metadata(&compiled).and_then(|metadata| metadata.modified()).expect("a time");
    assert_eq!(written, again, "nothing was compiled again");
}

#[tokio::test]
async fn a_doctored_entry_is_as_if_it_were_not_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = directory.path().join("aot");
    runs(&cache).await;
    for ending in ["cwasm", "manifest"] {
        let path = entry(&cache, ending);
        let good = fs::read(&path).expect("reads");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, &bad).expect("writes");
        runs(&cache).await;
        assert_eq!(fs::read(&path).expect("reads"), good, "{ending} was made again");
    }
}

#[tokio::test]
async fn native_code_of_another_plugin_is_not_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = directory.path().join("aot");
    runs(&cache).await;
    let ours = entry(&cache, "cwasm");
    let other = directory.path().join("other");
    drop(load(component("trap_exit"), "trap_exit", Some(&other), None).expect("loads"));
    fs::copy(entry(&other, "cwasm"), &ours).expect("copies");
    fs::copy(other.join("key"), cache.join("key")).expect("copies");
    runs(&cache).await;
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_costs_time_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "no directory").expect("writes");
    runs(&file).await;
    let open = directory.path().join("open");
    fs::create_dir(&open).expect("creates");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("changes");
    runs(&open).await;
    let mode = fs::metadata(&open).expect("exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else writes there any more");
}

#[tokio::test]
async fn a_plugin_can_be_called_from_several_tasks_at_once() {
    let provisioner = std::sync::Arc::new(guest("trap_exit"));
    let calls = (0..8).map(|_| {
        let provisioner = std::sync::Arc::clone(&provisioner);
        tokio::spawn(async move { apply(&provisioner, ScriptedHost::new([])).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let end = call.await.expect("the task ends");
        assert!(matches!(end, Err(CallError::Trapped { .. })), "{end:?}");
    }
}
