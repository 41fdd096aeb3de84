//! Tapes: torn at any byte, tampered with, mixed up.

use std::fs;
use std::path::PathBuf;

use ss_ports::{CallId, StateStore, StoreError, TapeRecord};
use ss_testkit::sample::call;

use crate::Place;

fn records() -> Vec<TapeRecord> {
    (0..4).map(TapeRecord::Waited).chain([TapeRecord::Random(vec![7; 300])]).collect()
}

fn path(place: &Place, call: &CallId) -> PathBuf {
    let name = format!("{}-{}.tape", call.service, call.number);
    place.file("tapes").join(call.deploy.as_str()).join(name)
}

/// A tape on disk, and its bytes after the head and after each record.
async fn written(place: &Place, call: &CallId) -> Vec<Vec<u8>> {
    let mut tape = place.store().tape(call).await.unwrap();
    let mut states = vec![fs::read(path(place, call)).unwrap()];
    for record in records() {
        tape.append(&record, false).await.unwrap();
        states.push(fs::read(path(place, call)).unwrap());
    }
    states
}

async fn read(place: &Place) -> Result<Option<Vec<TapeRecord>>, StoreError> {
    place.store().read_tape(&call(1, "db", 0)).await
}

#[tokio::test]
async fn a_cut_at_any_byte_drops_only_what_it_cut() {
    let place = Place::new();
    let states = written(&place, &call(1, "db", 0)).await;
    let bytes = states.last().unwrap();
    for length in 0..=bytes.len() {
        fs::write(path(&place, &call(1, "db", 0)), &bytes[..length]).unwrap();
        let whole = states.iter().skip(1).filter(|state| state.len() <= length).count();
        assert_eq!(read(&place).await.unwrap().unwrap(), records()[..whole], "cut at {length}");
    }
}

#[tokio::test]
async fn a_changed_byte_ends_the_tape_before_it() {
    let place = Place::new();
    let states = written(&place, &call(1, "db", 0)).await;
    let bytes = states.last().unwrap();
    for at in states[0].len()..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(path(&place, &call(1, "db", 0)), damaged).unwrap();
        let whole = states.iter().skip(1).filter(|state| state.len() <= at).count();
        assert_eq!(read(&place).await.unwrap().unwrap(), records()[..whole], "changed at {at}");
    }
}

#[tokio::test]
async fn records_cannot_be_moved_or_left_out() {
    let place = Place::new();
    let states = written(&place, &call(1, "db", 0)).await;
    let frames: Vec<&[u8]> = states.windows(2).map(|pair| &pair[1][pair[0].len()..]).collect();
    for (order, whole) in [(vec![0, 2, 1, 3], 1), (vec![1, 2, 3], 0), (vec![0, 1, 1, 2], 2)] {
        let body: Vec<u8> = order.iter().flat_map(|frame| frames[*frame].to_vec()).collect();
        fs::write(path(&place, &call(1, "db", 0)), [&states[0][..], &body].concat()).unwrap();
        assert_eq!(read(&place).await.unwrap().unwrap(), records()[..whole], "{order:?}");
    }
}

#[tokio::test]
async fn a_tape_is_of_one_call() {
    let place = Place::new();
    for other in [call(1, "db", 1), call(1, "api", 0), call(2, "db", 0)] {
        written(&place, &other).await;
        written(&place, &call(1, "db", 0)).await;
        fs::copy(path(&place, &other), path(&place, &call(1, "db", 0))).unwrap();
        assert_eq!(read(&place).await.unwrap(), Some(Vec::new()), "{other:?}");
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_opened_is_an_error() {
    let place = Place::new();
    let states = written(&place, &call(1, "db", 0)).await;
    let damaged = |at: usize| {
        let mut bytes = states[1].clone();
        bytes[at] ^= 1;
        bytes
    };
    // The mark, its version, and the vault's own mark.
    for bytes in [damaged(0), damaged(7), damaged(12)] {
        fs::write(path(&place, &call(1, "db", 0)), bytes).unwrap();
        let refused = read(&place).await;
        assert!(
            matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("db-0.tape")),
            "{refused:?}"
        );
    }
    // What a power cut leaves of a file whose bytes were never promised.
    fs::write(path(&place, &call(1, "db", 0)), [0; 200]).unwrap();
    assert_eq!(read(&place).await.unwrap(), Some(Vec::new()));
}

#[tokio::test]
async fn an_earlier_tape_of_the_same_call_is_set_aside() {
    let place = Place::new();
    let states = written(&place, &call(1, "db", 0)).await;
    place.store().tape(&call(1, "db", 0)).await.unwrap();
    assert_eq!(read(&place).await.unwrap(), Some(Vec::new()));
    let old = path(&place, &call(1, "db", 0)).with_extension("tape.old");
    assert_eq!(&fs::read(old).unwrap(), states.last().unwrap());
}
