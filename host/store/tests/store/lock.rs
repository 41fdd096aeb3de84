//! The lock between processes, and what becomes of it when one is killed.

use std::fs;

use ss_ports::{Holder, StateStore, StoreError};
use ss_testkit::sample::holder;

use crate::Place;

/// The second process: takes the lock and keeps it until it is killed.
#[tokio::test]
async fn holds_the_lock_as_a_second_process() {
    let Some(place) = Place::of_parent() else { return };
    let holder = Holder { process: std::process::id(), ..holder() };
    let _lease = place.store().lock(holder).await.unwrap();
    println!("\nheld {}", std::process::id());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[tokio::test]
async fn another_process_is_kept_out_until_it_is_killed() {
    let place = Place::new();
    let store = place.store();
    let mut other = place.run("lock::holds_the_lock_as_a_second_process");
    let process: u32 = other.says("held ").parse().unwrap();

    let Err(StoreError::Locked(found)) = store.lock(holder()).await else { panic!("not locked") };
    assert_eq!((found.process, found.command), (process, holder().command));
    assert_eq!(store.holder().await.unwrap().map(|holder| holder.process), Some(process));

    other.kill();
    assert_eq!(store.holder().await.unwrap(), None);
    assert!(store.lock(holder()).await.unwrap().is_held());
}

#[tokio::test]
async fn says_who_holds_it() {
    let place = Place::new();
    let store = place.store();
    assert_eq!(store.holder().await.unwrap(), None);
    let lease = store.lock(holder()).await.unwrap();
    assert_eq!(store.holder().await.unwrap(), Some(holder()));
    drop(lease);
    assert_eq!(store.holder().await.unwrap(), None);
    assert_eq!(fs::read_to_string(place.file("lock")).unwrap(), "");
}

#[tokio::test]
async fn a_removed_lock_file_is_noticed() {
    let place = Place::new();
    let lease = place.store().lock(holder()).await.unwrap();
    fs::remove_file(place.file("lock")).unwrap();
    assert!(!lease.is_held());
    let second = place.store().lock(holder()).await.unwrap();
    assert!(second.is_held());
    assert!(!lease.is_held());
}

#[tokio::test]
async fn a_holder_that_did_not_sign_still_keeps_others_out() {
    let place = Place::new();
    let _lease = place.store().lock(holder()).await.unwrap();
    fs::write(place.file("lock"), "").unwrap();
    let refused = place.store().lock(holder()).await.err().unwrap();
    assert!(refused.to_string().contains("another run"), "{refused}");
}
