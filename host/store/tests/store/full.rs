//! A disk that takes no more: half a write is taken back, and what was promised stays.
//!
//! The limit on a file's size stands in for the disk; the shell sets it, so that it holds for one process only.

use std::process::Command;

use ss_core::state::State;
use ss_ports::{Entry, StateStore, StoreError, TapeRecord};
use ss_testkit::sample::{begin, call, intent, recorded, service};

use crate::{Place, SecondProcess};

fn large(number: u32) -> Entry {
    let Entry::Intent { call, kind, action, plugin, mut record, continues } =
        intent(call(1, "db", number))
    else {
        unreachable!("an intent is an intent")
    };
    record.attributes = serde_json::json!({"text": "x".repeat(9_000)});
    Entry::Intent { call, kind, action, plugin, record, continues }
}

/// The second process, which may write files of some 32 to 64 KiB.
#[tokio::test]
async fn fills_the_disk_as_a_second_process() {
    let Some(place) = Place::of_parent() else { return };
    let store = place.store();
    store.append(&begin(1, "line", 0)).await.unwrap();
    let journal_length = || std::fs::metadata(place.file("journal.jsonl")).unwrap().len();
    let (mut kept, mut length) = (0, journal_length());
    let refused = loop {
        match store.append(&large(kept)).await {
            Ok(()) => (kept, length) = (kept + 1, journal_length()),
            Err(error) => break error,
        }
    };
    assert_eq!(journal_length(), length, "half an entry was left");
    assert!(
        matches!(&refused, StoreError::Io(text) if text.contains("cannot append to")),
        "{refused}"
    );
    store.append(&intent(call(1, "small", 0))).await.unwrap();

    let mut tape = store.tape(&call(1, "db", 0)).await.unwrap();
    let mut taped = 0;
    while tape.append(&TapeRecord::Random(vec![7; 3_000]), true).await.is_ok() {
        taped += 1;
    }
    tape.append(&TapeRecord::Waited(1), true).await.unwrap();

    let services =
        (0..400).map(|number| (service(&format!("s{number}")), recorded("one"))).collect();
    let too_large = State { services, ..State::empty("line") };
    let refused = store.commit(&too_large, 0).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Io(text) if text.contains("cannot write")), "{refused}");
    println!("\nkept {kept} {taped}");
}

#[tokio::test]
async fn a_full_disk_costs_only_what_was_refused() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\" --nocapture"]);
    command.arg(std::env::current_exe().unwrap()).arg("full::fills_the_disk_as_a_second_process");
    let said = SecondProcess::start(&place, command).says("kept ");
    let (kept, taped) = said.split_once(' ').unwrap();

    let stored = place.store().load().await.unwrap().unwrap();
    assert_eq!(stored.state.serial, 0);
    assert_eq!(stored.open.len(), kept.parse::<usize>().unwrap() + 1);
    let records = place.store().read_tape(&call(1, "db", 0)).await.unwrap().unwrap();
    assert_eq!(records.len(), taped.parse::<usize>().unwrap() + 1);
    assert_eq!(records.last(), Some(&TapeRecord::Waited(1)));
    assert!(!place.file(".state.json.ss-new").exists());
}
