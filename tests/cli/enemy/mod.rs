//! Hostile components, each run by the real binary: what they do is blocked as the table says, nothing unapproved
//! reaches the vendor, no secret gets anywhere, and the rest of the deploy goes on.
//!
//! Those that the binary carries with it are tried by its own `ss sandbox selftest`; here is what it cannot carry.

mod malformed;
mod wall;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::thread;

use serde_json::Value;
use ss_selftest::{Arena, Output, Ring};

use crate::common::{Place, Ran};

/// One home for all: what is compiled once is compiled for all.
static ARENA: LazyLock<Arena> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("enemy");
    Arena::new(Path::new(env!("CARGO_BIN_EXE_ss")), &directory).expect("an arena")
});

/// A project of this name around a component.
fn ring(name: &str, component: &[u8]) -> Ring<'static> {
    ARENA.ring(name, component).expect("a project")
}

#[track_caller]
fn ran(output: Result<Output, String>) -> Ran {
    let Output { code, stdout, stderr } =
        output.expect("it ends, and prints nothing that it should not");
    Ran { code, stdout, stderr }
}

/// Runs every row, a few at once, and then names every row that is not as it should be.
#[track_caller]
fn each<T: Sync>(rows: &[T], name: fn(&T) -> &str, run: fn(&T)) {
    let queue = Mutex::new(rows.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from).min(4) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("a queue").next();
                    let Some(row) = next else { return };
                    let run = AssertUnwindSafe(|| run(row));
                    if std::panic::catch_unwind(run).is_err() {
                        wrong.lock().expect("a list").push(name(row));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    assert!(wrong.is_empty(), "not as the table says: {wrong:?}");
}

#[test]
fn the_binary_stands_its_own_selftest() {
    let place = Place::new();
    let ran = place.ss(["sandbox", "selftest", "--json"]);
    let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let wrong: Vec<&Value> = answer["components"]
        .as_array()
        .expect("components")
        .iter()
        .filter(|component| !component["through"].is_null())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    ran.exits(0);
    crate::json_shapes::fits("selftest", &answer);
    // As many as were ever in it.
    assert!(answer["components"].as_array().map_or(0, Vec::len) >= 147);
    assert!(answer["search"]["files"].as_u64() > Some(1_000), "{}", answer["search"]);
    let left = std::fs::read_dir(place.home()).expect("a home").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("selftest"));
    assert_eq!(left.count(), 0, "its scratch is left behind");
}
