//! Who may read the files, and what is said about those that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ss_core::state::State;
use ss_ports::{DeployStatus, Snapshot, StateStore, StoreError, TapeRecord};
use ss_testkit::sample::{begin, call, deploy, holder, intent, receipt};

use crate::Place;

/// A store in which everything was used once.
async fn used(place: &Place) {
    let store = place.store();
    let _lease = store.lock(holder()).await.unwrap();
    store.append(&begin(1, "line", 0)).await.unwrap();
    let secrets = vec!["hunter2-hunter2".to_owned()];
    let record = TapeRecord::Reply { reply: Ok(reply()), secrets };
    store.tape(&call(1, "db", 0)).await.unwrap().append(&record, true).await.unwrap();
    store.commit(&State::empty("line"), 0).await.unwrap();
    store.put_receipt(&receipt(1, DeployStatus::Completed)).await.unwrap();
    let state = State::empty("line");
    let snapshot =
        Snapshot { version: 1, deploy: deploy(1), state, credentials: vec![1], overlay: None };
    store.put_snapshot(&snapshot).await.unwrap();
    store.append(&begin(2, "line", 1)).await.unwrap();
    store.append(&intent(call(2, "db", 0))).await.unwrap();
}

fn reply() -> ss_gate::call::Reply {
    ss_gate::call::Reply {
        status: 200,
        headers: vec![],
        body: b"hunter2-hunter2".to_vec(),
        captured: vec![],
    }
}

fn walk(path: &Path, found: &mut Vec<(String, u32, Vec<u8>)>) {
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
    if path.is_dir() {
        found.push((path.display().to_string(), mode, Vec::new()));
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), found);
        }
    } else {
        found.push((path.display().to_string(), mode, fs::read(path).unwrap()));
    }
}

#[tokio::test]
async fn only_the_user_may_read_and_no_secret_is_in_plain() {
    let place = Place::new();
    used(&place).await;
    let mut found = Vec::new();
    walk(&place.path.join("systems"), &mut found);
    let names: Vec<&str> = found.iter().filter_map(|(path, ..)| path.rsplit('/').next()).collect();
    for name in ["state.json", "journal.jsonl", "lock", "receipts", "snapshots", "db-0.tape"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for (path, mode, bytes) in &found {
        assert_eq!(*mode, if Path::new(path).is_dir() { 0o700 } else { 0o600 }, "{path}");
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{path}");
    }
}

#[tokio::test]
async fn a_damaged_state_is_named_and_left_alone() {
    let place = Place::new();
    used(&place).await;
    for text in ["", "{\"version\": 1", "{\"version\": 1, \"lineage\": 7}", "\0\0\0\0"] {
        fs::write(place.file("state.json"), text).unwrap();
        for result in [
            place.store().load().await.map(drop),
            place.store().append(&intent(call(2, "db", 1))).await,
            place.store().commit(&State::empty("line"), 1).await.map(drop),
        ] {
            let Err(StoreError::Damaged(message)) = result else { panic!("{result:?}") };
            assert!(
                message.contains("state.json is damaged") && message.contains("backup"),
                "{message}"
            );
        }
        assert_eq!(fs::read_to_string(place.file("state.json")).unwrap(), text);
    }
}

#[tokio::test]
async fn a_lost_state_is_not_begun_anew() {
    let place = Place::new();
    used(&place).await;
    fs::remove_file(place.file("state.json")).unwrap();
    let Err(StoreError::Damaged(message)) = place.store().load().await else { panic!() };
    assert!(message.contains("there is no state.json"), "{message}");
}

#[tokio::test]
async fn a_newer_state_is_refused() {
    let place = Place::new();
    used(&place).await;
    let newer = fs::read_to_string(place.file("state.json"))
        .unwrap()
        .replace("\"version\":1", "\"version\":2");
    fs::write(place.file("state.json"), newer).unwrap();
    let Err(StoreError::Damaged(message)) = place.store().load().await else { panic!() };
    assert!(message.contains("version 2"), "{message}");
}

#[tokio::test]
async fn an_error_names_the_operation_and_the_path() {
    let place = Place::new();
    fs::create_dir_all(place.path.join("systems")).unwrap();
    fs::write(place.path.join("systems/my-app"), "a file in the way").unwrap();
    let store = place.store();
    for result in [
        store.lock(holder()).await.map(drop),
        store.append(&begin(1, "line", 0)).await,
        store.commit(&State::empty("line"), 0).await.map(drop),
        store.put_receipt(&receipt(1, DeployStatus::Running)).await,
        store.tape(&call(1, "db", 0)).await.map(drop),
    ] {
        let Err(StoreError::Io(message)) = result else { panic!("{result:?}") };
        assert!(message.starts_with("cannot ") && message.contains("systems/my-app"), "{message}");
        let reasons = ["something else has its name", "a part of its path is not a directory"];
        assert!(reasons.iter().any(|reason| message.ends_with(reason)), "{message}");
    }
}
