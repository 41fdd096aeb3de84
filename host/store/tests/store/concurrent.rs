//! Many at once: threads that write, readers beside a writer, and a writer that is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ss_core::state::State;
use ss_ports::StateStore;
use ss_testkit::sample::{begin, call, deploy, holder, intent};

use crate::Place;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn entries_of_many_threads_are_all_kept() {
    let place = Place::new();
    let store = Arc::new(place.store());
    block_on(store.append(&begin(1, "line", 0))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for number in 0..10 {
                    block_on(store.append(&intent(call(1, &format!("t{thread}"), number))))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(block_on(place.store().load()).unwrap().unwrap().open.len(), 80);
}

/// A plan beside a running deploy must see one state or the next, never an error or a step back.
#[test]
fn readers_beside_a_writer_see_whole_states() {
    let place = Place::with_overlay("version: \"2\"\n");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        if let Some(stored) = block_on(place.store().load()).unwrap() {
                            assert!(stored.state.serial >= last);
                            last = stored.state.serial;
                        }
                    }
                })
            })
            .collect();
        let store = place.store();
        for serial in 0..30 {
            block_on(store.append(&begin(1, "line", serial))).unwrap();
            block_on(store.append(&intent(call(1, "db", 0)))).unwrap();
            let state = State { deploy: Some(deploy(serial as u32)), ..State::empty("line") };
            assert_eq!(block_on(store.commit(&state, serial)).unwrap(), serial + 1);
        }
        is_over.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

/// The second process: commits and appends until it is killed, and says what it was promised.
#[tokio::test]
async fn writes_as_a_second_process() {
    let Some(place) = Place::of_parent() else { return };
    let store = place.store();
    let _lease = store.lock(holder()).await.unwrap();
    let mut state = match store.load().await.unwrap() {
        Some(stored) => stored.state,
        None => State::empty("line"),
    };
    println!();
    loop {
        store.append(&begin(1, "line", state.serial)).await.unwrap();
        for number in 0..3 {
            store.append(&intent(call(1, "db", number))).await.unwrap();
            println!("kept {} {}", state.serial, number + 1);
        }
        state = store.load().await.unwrap().unwrap().state;
        state.serial = store.commit(&state, state.serial).await.unwrap();
        println!("kept {} 0", state.serial);
    }
}

#[tokio::test]
async fn a_killed_writer_keeps_its_promises() {
    let place = Place::with_overlay("version: \"2\"\n# mine\n");
    for lines in [1, 2, 3, 4, 7, 12, 20] {
        let mut other = place.run("concurrent::writes_as_a_second_process");
        let mut last = String::new();
        for _ in 0..lines {
            last = other.says("kept ");
        }
        other.kill();
        let last = other.said_last("kept ").unwrap_or(last);
        let (serial, entries) = last.split_once(' ').unwrap();
        let (serial, entries): (u64, usize) = (serial.parse().unwrap(), entries.parse().unwrap());

        let store = place.store();
        let _lease = store.lock(holder()).await.unwrap();
        let stored = store.load().await.unwrap().unwrap();
        assert!(stored.state.serial >= serial, "{} {serial}", stored.state.serial);
        assert!(stored.state.serial > serial || stored.open.len() >= entries);
        let overlay = ss_core::overlay::read(&place.overlay_text()).unwrap();
        assert_eq!(overlay.map_or(0, |overlay| overlay.serial), stored.state.serial);
        assert!(place.overlay_text().starts_with("version: \"2\"\n# mine\n"));
    }
}
