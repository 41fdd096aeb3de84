//! Receipts and snapshots: one bad file does not hide the others, and old runs go.

use std::fs;

use ss_core::ident::DeployId;
use ss_core::state::State;
use ss_ports::{CallId, DeployStatus, Snapshot, StateStore, StoreError, TapeRecord};
use ss_testkit::sample::{begin, call, deploy, intent, receipt, service};

use crate::Place;

async fn put_run(place: &Place, number: u32) {
    let store = place.store();
    store.put_receipt(&receipt(number, DeployStatus::Completed)).await.unwrap();
    let state = State::empty("line");
    let snapshot =
        Snapshot { version: 1, deploy: deploy(number), state, credentials: vec![1], overlay: None };
    store.put_snapshot(&snapshot).await.unwrap();
    let mut tape = store.tape(&call(number, "db", 0)).await.unwrap();
    tape.append(&TapeRecord::Waited(number), true).await.unwrap();
}

async fn numbers(place: &Place) -> Vec<DeployId> {
    let receipts = place.store().receipts().await.unwrap();
    receipts.into_iter().map(|receipt| receipt.header.id).collect()
}

#[tokio::test]
async fn a_bad_receipt_is_named_and_hides_nothing() {
    let place = Place::new();
    for number in 1..=3 {
        put_run(&place, number).await;
    }
    let file = |name: String| place.file("receipts").join(name);
    let path = file(format!("{}.json", deploy(2)));
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    fs::write(file("renamed.json".to_owned()), good.as_str()).unwrap();
    fs::write(file(format!("{}.json", deploy(9))), good.replace("\"version\":1", "\"version\":2"))
        .unwrap();
    fs::write(file(format!(".{}.json.ss-new", deploy(8))), "half").unwrap();
    fs::write(file("notes.txt".to_owned()), "the user's").unwrap();

    assert_eq!(numbers(&place).await, [deploy(3), deploy(1)]);
    let damaged = place.store().receipts().await.unwrap().damaged;
    assert_eq!(damaged.len(), 3, "{damaged:?}");
    for part in [deploy(2).as_str(), "renamed.json", "version 2"] {
        assert!(damaged.iter().any(|message| message.contains(part)), "{part} in {damaged:?}");
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_an_error() {
    let place = Place::new();
    put_run(&place, 1).await;
    let path = place.file("snapshots").join(format!("{}.json", deploy(1)));
    let good = fs::read_to_string(&path).unwrap();
    for text in [good.replace("\"version\":1", "\"version\":2"), "{".to_owned()] {
        fs::write(&path, text).unwrap();
        let refused = place.store().snapshot(&deploy(1)).await;
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_id_never_leads_out_of_the_store() {
    let place = Place::new();
    // If the id's own type refuses it, nothing is left to refuse here.
    let Ok(outside) = serde_json::from_str::<DeployId>("\"../../../../etc/passwd\"") else {
        return;
    };
    let refused = place.store().snapshot(&outside).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    let call = CallId { deploy: outside, service: service("db"), number: 0 };
    assert!(place.store().tape(&call).await.is_err());
    assert!(place.store().read_tape(&call).await.is_err());
}

#[tokio::test]
async fn prune_keeps_the_newest_and_what_the_journal_needs() {
    let place = Place::new();
    for number in 1..=6 {
        put_run(&place, number).await;
    }
    let store = place.store();
    store.append(&begin(2, "line", 0)).await.unwrap();
    store.append(&intent(call(1, "db", 0))).await.unwrap();
    assert_eq!(store.prune(2).await.unwrap(), [deploy(4), deploy(3)]);
    assert_eq!(numbers(&place).await, [deploy(6), deploy(5), deploy(2), deploy(1)]);
    for (number, is_kept) in [(1, true), (2, true), (3, false), (4, false), (5, true), (6, true)] {
        let tape = place.store().read_tape(&call(number, "db", 0)).await.unwrap();
        let snapshot = place.store().snapshot(&deploy(number)).await.unwrap();
        assert_eq!((tape.is_some(), snapshot.is_some()), (is_kept, is_kept), "{number}");
        assert_eq!(place.file("tapes").join(deploy(number).as_str()).exists(), is_kept);
    }
    assert_eq!(store.prune(ss_store::RUNS_KEPT).await.unwrap(), []);
}
