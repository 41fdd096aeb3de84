//! One short run, and what has to be there afterwards whatever went wrong in it: the same for every place.

use ss_core::record::CallEnd;
use ss_core::state::State;
use ss_ports::{Entry, StateStore};
use ss_testkit::sample::{begin, call, deploy, holder, intent, recorded, service};

/// What a run was told to be durable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Promised {
    /// Of a begin, an intent and an outcome.
    pub entries: usize,
    /// And the commit of all.
    pub commit: bool,
}

/// A run up to its end, or to where it is told that something went wrong. Each promise is told of when it is made.
pub async fn run(store: &dyn StateStore, mut told: impl FnMut(Promised)) {
    let mut promised = Promised::default();
    let Ok(_lease) = store.lock(holder()).await else { return };
    let end = CallEnd::Done { record: Box::new(recorded("one")) };
    let done = Entry::Outcome { call: call(1, "db", 0), end };
    for entry in [begin(1, "line", 0), intent(call(1, "db", 0)), done] {
        if store.append(&entry).await.is_err() {
            return;
        }
        promised.entries += 1;
        told(promised);
    }
    let Ok(Some(stored)) = store.load().await else { return };
    let state = State { deploy: Some(deploy(1)), ..stored.state };
    promised.commit = store.commit(&state, 0).await.is_ok();
    told(promised);
}

/// What was promised is there, and the next run goes on.
pub async fn keeps(next: &dyn StateStore, promised: Promised, what: &str) {
    let lease = next.lock(holder()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let stored = next.load().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    if promised.entries == 3 {
        let stored = stored.as_ref().expect(what);
        assert!(stored.state.services.contains_key(&service("db")), "{what}");
        assert!(stored.open.is_empty(), "{what}");
    } else if promised.entries == 2 {
        // The outcome may have arrived although nobody was told.
        let stored = stored.as_ref().expect(what);
        let is_done = stored.state.services.contains_key(&service("db"));
        assert!(is_done || stored.open.len() == 1, "{what}");
    }
    let serial = stored.as_ref().map_or(0, |stored| stored.state.serial);
    assert!(!promised.commit || serial == 1, "{what}");
    let after = next.commit(&State::empty("line"), serial).await;
    assert_eq!(after.unwrap_or_else(|error| panic!("{what}: {error}")), serial + 1, "{what}");
    drop(lease);
}
