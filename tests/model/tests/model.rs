//! The model, tried whole; and its flaws, which must be found.

use ss_model::{Deploys, Flaw, Lock};
use stateright::{Checker, HasDiscoveries, Model};

fn deploys(flaw: Flaw, lock: Lock) -> Deploys {
    let delays = if lock == Lock::Lease { 2 } else { 0 };
    Deploys { flaw, lock, crashes: 3, delays, losses: 3 }
}

#[test]
fn two_deployers_of_two_resources_keep_every_promise() {
    for lock in [Lock::Kernel, Lock::Lease] {
        let checked = deploys(Flaw::None, lock).checker().spawn_bfs().join();
        checked.assert_properties();
        let states = checked.unique_state_count();
        eprintln!("{lock:?}: {states} states");
        assert!(checked.is_done() && states > 2_000, "{lock:?}: only {states} states");
    }
}

#[test]
fn without_fencing_something_is_made_twice() {
    is_refuted(Flaw::NoFencing, Lock::Lease, "no duplicate");
}

#[test]
fn an_intent_after_its_request_leaves_an_orphan() {
    is_refuted(Flaw::IntentAfterRequest, Lock::Kernel, "no orphan");
}

#[test]
fn a_repetition_without_a_look_makes_it_twice() {
    is_refuted(Flaw::NoLook, Lock::Kernel, "no duplicate");
}

fn is_refuted(flaw: Flaw, lock: Lock, promise: &'static str) {
    let first = HasDiscoveries::AnyFailures;
    let checked = deploys(flaw, lock).checker().finish_when(first).spawn_bfs().join();
    let found = checked.discovery(promise);
    let found = found.unwrap_or_else(|| panic!("{flaw:?} does not break `{promise}`"));
    eprintln!("{flaw:?}: {:?}", found.into_actions());
}
