//! Killed between any two steps, and what the next run finds.

use std::fs;

use ss_core::overlay as block;
use ss_core::record::CallEnd;
use ss_testkit::MemoryVault;
use ss_testkit::sample::{begin, call, deploy, header, holder, intent, recorded, service};
use tempfile::TempDir;

use super::*;

const USER_TEXT: &str = "version: \"2\"\n# mine\n";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.overlay(), USER_TEXT).unwrap();
        place
    }

    fn overlay(&self) -> PathBuf {
        self.0.path().join("starsystem.prod.yaml")
    }

    fn overlay_state(&self) -> Option<State> {
        block::read(&fs::read_to_string(self.overlay()).unwrap()).unwrap()
    }

    fn open(&self) -> LocalStore {
        let directory = self.0.path().join("systems/my-app/prod");
        LocalStore::open(directory, Some(self.overlay()), Arc::new(MemoryVault::default()))
    }
}

/// A store with one deploy done and a second one all but committed; and the state that it is about to commit.
async fn before_second_commit(place: &Place) -> State {
    let store = place.open();
    store.append(&begin(1, "line", 0)).await.unwrap();
    let first = State { deploy: Some(deploy(1)), ..State::empty("line") };
    assert_eq!(store.commit(&first, 0).await.unwrap(), 1);
    store.append(&begin(2, "line", 1)).await.unwrap();
    store.append(&intent(call(2, "db", 0))).await.unwrap();
    let end = CallEnd::Done { record: Box::new(recorded("one")) };
    store.append(&Entry::Outcome { call: call(2, "db", 0), end }).await.unwrap();
    let folded = store.load().await.unwrap().unwrap();
    // A commit may hold more than the journal says, as a rollback's does.
    State { deploy: Some(deploy(2)), retired: [(service("old"), 3)].into(), ..folded.state }
}

#[tokio::test]
async fn a_commit_cut_short_after_any_step_loses_nothing() {
    for done in 0..=ORDER.len() {
        let place = Place::new();
        let state = before_second_commit(&place).await;
        let next = State { serial: 2, ..state.clone() };
        for step in &ORDER[..done] {
            perform(*step, &place.open().paths, &next).unwrap();
        }

        let stored = place.open().load().await.unwrap().unwrap();
        if done == 0 {
            assert_eq!(stored.unfinished, Some(header(2)));
            assert_eq!(stored.state.services[&service("db")], recorded("one"));
            assert_eq!(place.overlay_state().unwrap().serial, 1);
            continue;
        }
        assert_eq!((&stored.state, &stored.unfinished), (&next, &None), "{done} steps");
        assert!(stored.open.is_empty());
        let expected = if done == 1 { 1 } else { 2 };
        assert_eq!(place.overlay_state().unwrap().serial, expected, "{done} steps");

        // The next lease brings the overlay up to date, and the next run begins where the commit ended.
        let store = place.open();
        let lease = store.lock(holder()).await.unwrap();
        assert_eq!(place.overlay_state(), Some(next.clone()), "{done} steps");
        let stale = store.commit(&state, 1).await;
        assert!(matches!(stale, Err(StoreError::Stale { expected: 1, found: 2 })));
        store.append(&begin(3, "line", 2)).await.unwrap();
        let stored = place.open().load().await.unwrap().unwrap();
        assert_eq!((stored.state, stored.unfinished), (next, Some(header(3))), "{done} steps");
        drop(lease);
    }
}

#[tokio::test]
async fn the_very_first_commit_cut_short_loses_nothing() {
    for done in 0..=ORDER.len() {
        let place = Place::new();
        let next = State { serial: 1, deploy: Some(deploy(1)), ..State::empty("line") };
        for step in &ORDER[..done] {
            perform(*step, &place.open().paths, &next).unwrap();
        }
        let stored = place.open().load().await.unwrap();
        assert_eq!(stored.map(|stored| stored.state), (done > 0).then(|| next.clone()));
        let _lease = place.open().lock(holder()).await.unwrap();
        assert_eq!(place.overlay_state(), (done > 0).then_some(next));
    }
}

#[tokio::test]
async fn a_first_run_cut_short_before_its_journal_begins_again() {
    let place = Place::new();
    perform(Step::State, &place.open().paths, &State::empty("line")).unwrap();
    let lease = place.open().lock(holder()).await.unwrap();
    assert_eq!(place.overlay_state(), None, "nothing was deployed yet");
    drop(lease);
    let store = place.open();
    store.append(&begin(1, "line", 0)).await.unwrap();
    assert_eq!(place.open().load().await.unwrap().unwrap().unfinished, Some(header(1)));
}

/// A write killed before its rename leaves a file beside the place.
#[tokio::test]
async fn what_a_killed_write_left_is_in_nobodys_way() {
    let place = Place::new();
    let state = before_second_commit(&place).await;
    let paths = place.open().paths;
    let left: Vec<PathBuf> = [paths.state(), paths.journal(), place.overlay()]
        .iter()
        .map(|path| path.with_file_name(format!(".{}.ss-new", path.file_name().unwrap().display())))
        .collect();
    for path in &left {
        fs::write(path, "half of it").unwrap();
    }
    let store = place.open();
    store.append(&begin(3, "line", 1)).await.unwrap();
    assert_eq!(store.commit(&state, 1).await.unwrap(), 2);
    assert_eq!(place.open().load().await.unwrap().unwrap().state, State { serial: 2, ..state });
    for path in &left {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn an_overlay_that_cannot_be_written_costs_only_the_copy() {
    let place = Place::new();
    let state = before_second_commit(&place).await;
    let broken = format!("{USER_TEXT}--- # a second document\n");
    fs::write(place.overlay(), &broken).unwrap();
    let Err(StoreError::Io(text)) = place.open().commit(&state, 1).await else { panic!() };
    assert!(
        text.contains("is safe in") && text.contains("serial 2") && text.contains("run the same"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(place.overlay()).unwrap(), broken);

    fs::write(place.overlay(), format!("{USER_TEXT}# mended\n")).unwrap();
    let store = place.open();
    let _lease = store.lock(holder()).await.unwrap();
    let next = State { serial: 2, ..state };
    assert_eq!(place.overlay_state(), Some(next.clone()));
    assert_eq!(store.load().await.unwrap().unwrap().state, next);
}
