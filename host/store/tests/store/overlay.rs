//! The overlay's `_state` beside the store: other machines, the user's editor, and links.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use ss_core::overlay::{read, splice};
use ss_core::state::State;
use ss_ports::{StateStore, StoreError, Stored};
use ss_testkit::sample::{begin, call, deploy, holder, intent, recorded, service};

use crate::Place;

const TEXT: &str = "# mine\r\nversion: \"2\"\r\n";

fn state(serial: u64, number: u32) -> State {
    State { serial, deploy: Some(deploy(number)), ..State::empty("line") }
}

async fn commit(place: &Place, state: &State, expected: u64) -> Result<u64, StoreError> {
    place.store().commit(state, expected).await
}

async fn load(place: &Place) -> Result<Stored, StoreError> {
    place.store().load().await.map(Option::unwrap)
}

fn put_into_overlay(place: &Place, state: &State) {
    let text = splice(&place.overlay_text(), Some(state)).unwrap();
    fs::write(place.overlay(), text).unwrap();
}

#[tokio::test]
async fn a_commit_changes_only_the_block() {
    let place = Place::with_overlay(TEXT);
    let services = [(service("db"), recorded("one"))].into();
    commit(&place, &State { services, ..state(0, 1) }, 0).await.unwrap();
    let text = place.overlay_text();
    assert!(text.starts_with(TEXT) && text.contains("\r\n      provider: \"neon\"\r\n"), "{text}");
    let loaded = load(&place).await.unwrap().state;
    assert_eq!(read(&text).unwrap(), Some(loaded));
}

#[tokio::test]
async fn what_the_user_saves_during_a_deploy_stays() {
    let place = Place::with_overlay(TEXT);
    let store = place.store();
    store.append(&begin(1, "line", 0)).await.unwrap();
    fs::write(place.overlay(), format!("{TEXT}# a thought\r\n")).unwrap();
    store.commit(&state(0, 1), 0).await.unwrap();
    assert!(place.overlay_text().starts_with(&format!("{TEXT}# a thought\r\n_state:")));
}

#[tokio::test]
async fn a_fresh_checkout_goes_on_from_the_overlay() {
    let place = Place::with_overlay(TEXT);
    put_into_overlay(&place, &state(7, 1));
    assert_eq!(load(&place).await.unwrap().state, state(7, 1));
    assert!(!place.directory().exists(), "loading writes nothing");

    let store = place.store();
    let _lease = store.lock(holder()).await.unwrap();
    let refused = store.append(&begin(2, "line", 6)).await;
    assert!(matches!(refused, Err(StoreError::Stale { expected: 6, found: 7 })));
    store.append(&begin(2, "line", 7)).await.unwrap();
    store.append(&intent(call(2, "db", 0))).await.unwrap();

    // From here on the store stands by itself, whatever becomes of the overlay.
    fs::write(place.overlay(), TEXT).unwrap();
    let stored = load(&place).await.unwrap();
    assert_eq!((stored.state.serial, stored.open.len()), (7, 1));
    store.commit(&state(7, 2), 7).await.unwrap();
    assert_eq!(read(&place.overlay_text()).unwrap(), Some(state(8, 2)));
}

#[tokio::test]
async fn another_machines_deploy_is_taken_over() {
    let place = Place::with_overlay(TEXT);
    commit(&place, &state(0, 1), 0).await.unwrap();
    put_into_overlay(&place, &state(5, 2));
    assert_eq!(load(&place).await.unwrap().state, state(5, 2));
    let stale = commit(&place, &state(1, 1), 1).await;
    assert!(matches!(stale, Err(StoreError::Stale { expected: 1, found: 5 })), "{stale:?}");
    let store = place.store();
    store.append(&begin(3, "line", 5)).await.unwrap();
    assert_eq!(store.commit(&state(5, 3), 5).await.unwrap(), 6);
    assert_eq!(load(&place).await.unwrap().state, state(6, 3));
}

#[tokio::test]
async fn an_old_overlay_is_brought_up_to_date() {
    let place = Place::with_overlay(TEXT);
    commit(&place, &state(0, 1), 0).await.unwrap();
    let old = place.overlay_text();
    commit(&place, &state(1, 2), 1).await.unwrap();
    for text in [old.as_str(), TEXT] {
        fs::write(place.overlay(), text).unwrap();
        assert_eq!(load(&place).await.unwrap().state, state(2, 2));
        assert_eq!(place.overlay_text(), text, "loading writes nothing");
        drop(place.store().lock(holder()).await.unwrap());
        assert_eq!(read(&place.overlay_text()).unwrap(), Some(state(2, 2)));
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_left_alone() {
    let place = Place::with_overlay(TEXT);
    let store = place.store();
    commit(&place, &state(0, 1), 0).await.unwrap();
    store.append(&begin(2, "line", 1)).await.unwrap();
    let other_line = State { serial: 9, ..State::empty("other") };
    for foreign in [state(1, 7), state(4, 7), other_line] {
        put_into_overlay(&place, &foreign);
        let text = place.overlay_text();
        for result in [
            place.store().load().await.map(drop),
            place.store().append(&begin(3, "line", 1)).await,
            commit(&place, &state(1, 2), 1).await.map(drop),
        ] {
            let Err(StoreError::Mismatch(message)) = result else { panic!("{result:?}") };
            assert!(message.contains("newer") || message.contains("older"), "{message}");
            assert!(message.contains("starsystem.prod.yaml"), "{message}");
        }
        drop(place.store().lock(holder()).await.unwrap());
        assert_eq!(place.overlay_text(), text);
    }
    put_into_overlay(&place, &state(1, 1));
    assert_eq!(load(&place).await.unwrap().state, state(1, 1));
}

#[tokio::test]
async fn a_damaged_block_is_named() {
    let place = Place::with_overlay(TEXT);
    commit(&place, &state(0, 1), 0).await.unwrap();
    let good = place.overlay_text();
    for text in [good.replace("serial: 1", "serial: one"), format!("{good}<<<<<<< HEAD\n")] {
        fs::write(place.overlay(), text).unwrap();
        let Err(StoreError::Damaged(message)) = place.store().load().await else { panic!() };
        assert!(message.contains("starsystem.prod.yaml"), "{message}");
    }
    fs::write(place.overlay(), [0xff, 0xfe]).unwrap();
    let Err(StoreError::Damaged(message)) = place.store().load().await else { panic!() };
    assert!(message.contains("UTF-8"), "{message}");
}

#[tokio::test]
async fn links_and_permissions_stay() {
    let place = Place::new();
    let real = place.path.join("shared.yaml");
    fs::write(&real, TEXT).unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o664)).unwrap();
    std::os::unix::fs::symlink("shared.yaml", place.overlay()).unwrap();
    commit(&place, &state(0, 1), 0).await.unwrap();
    assert!(fs::symlink_metadata(place.overlay()).unwrap().is_symlink());
    assert_eq!(read(&fs::read_to_string(&real).unwrap()).unwrap(), Some(state(1, 1)));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o664);
    let names = fs::read_dir(&place.path).unwrap().count();
    assert_eq!(names, 3, "nothing is left beside the overlay");
}

#[tokio::test]
async fn a_run_does_not_begin_on_an_overlay_that_cannot_be_written() {
    let place = Place::with_overlay(TEXT);
    fs::set_permissions(place.overlay(), Permissions::from_mode(0o444)).unwrap();
    let begun = place.store().append(&begin(1, "line", 0)).await;
    let Err(StoreError::Io(message)) = begun else { panic!("{begun:?}") };
    assert!(message.contains("it is read-only"), "{message}");
    assert!(!place.file("journal.jsonl").exists());
    fs::set_permissions(place.overlay(), Permissions::from_mode(0o644)).unwrap();
    place.store().append(&begin(1, "line", 0)).await.unwrap();
    assert_eq!(place.overlay_text(), TEXT);
}

#[tokio::test]
async fn a_read_only_or_vanished_overlay_says_how_to_finish() {
    let place = Place::with_overlay(TEXT);
    let store = place.store();
    fs::set_permissions(place.overlay(), Permissions::from_mode(0o444)).unwrap();
    let Err(StoreError::Io(message)) = store.commit(&state(0, 1), 0).await else { panic!() };
    assert!(message.contains("it is read-only") && message.contains("is safe in"), "{message}");
    assert_eq!(place.overlay_text(), TEXT);

    // The lease, too, is only given once the copy is there.
    let Err(StoreError::Io(message)) = place.store().lock(holder()).await.map(drop) else {
        panic!()
    };
    assert!(message.contains("it is read-only"), "{message}");
    assert_eq!(place.store().holder().await.unwrap(), None);
    fs::set_permissions(place.overlay(), Permissions::from_mode(0o644)).unwrap();
    drop(place.store().lock(holder()).await.unwrap());
    assert_eq!(read(&place.overlay_text()).unwrap(), Some(state(1, 1)));

    fs::remove_file(place.overlay()).unwrap();
    let Err(StoreError::Io(message)) = store.commit(&state(1, 1), 1).await else { panic!() };
    assert!(message.contains("it does not exist") && message.contains("serial 2"), "{message}");
}
