//! Looking at what is there, without touching it.

use serde_json::{Value, json};
use ss_core::state::Recorded;
use ss_engine::{Observed, observe};
use ss_gate::call::{CallFailureKind, FailureKind};
use ss_ports::{CallError, Vault};
use ss_testkit::sample;

use crate::cloud::Answer;
use crate::faults::Faults;
use crate::things::{Things, answer, call, failed, on, send, thing, with};
use crate::world::{World, wants};

async fn observed(world: &World, id: &str) -> Observed {
    let run = world.run(&Faults::none());
    let mut all = observe(&run, &world.state().await).await;
    assert_eq!(run.counts().write, 0, "nothing unsafe leaves");
    all.remove(&sample::service(id)).expect("observed")
}

#[tokio::test]
async fn what_is_as_recorded_is_the_same() {
    let world = World::new();
    world.deploy(&[wants("db", 1), wants("api", 2)]).await;
    let run = world.run(&Faults::none());
    let all = observe(&run, &world.state().await).await;
    assert_eq!(all.len(), 2);
    assert!(all.values().all(|seen| matches!(seen, Observed::Same)), "{all:?}");
    assert_eq!((run.counts().read, run.counts().write), (2, 0));
}

#[tokio::test]
async fn what_differs_is_told_field_by_field_with_the_record_it_would_make() {
    let world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    world.cloud.meddle(|things| things.get_mut("th-1").unwrap().size = json!(9));
    let Observed::Drifted { differences, actual } = observed(&world, "db").await else {
        panic!("it drifted")
    };
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].path, "size");
    assert_eq!((&differences[0].before, &differences[0].after), (&Some(json!(1)), &Some(json!(9))));
    let record = world.recorded("db").await.unwrap();
    let attributes = json!({"id": "th-1", "size": 9});
    let provisioned_at = actual.provisioned_at.clone();
    assert_eq!(*actual, Recorded { attributes, provisioned_at, ..record });
}

#[tokio::test]
async fn a_credential_that_is_no_longer_given_out_is_told_and_not_shown() {
    let shows = Things::honest().reading(|_, recorded, mut host| async move {
        let password = answer(&mut host, on("getPassword", &recorded.id)).await?;
        assert_eq!(password.captured.len(), 1);
        Ok(Some(thing(&recorded.id, &json!(1))))
    });
    let mut world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    world.offer("thing", shows);
    let Observed::Drifted { differences, .. } = observed(&world, "db").await else {
        panic!("the vault has a URL, the vendor gives a password")
    };
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].path, "credentials.URL");
    assert_eq!(differences[0].after, Some(json!("(secret, changed)")));
    let password = world.cloud.things()["th-1"].password.clone();
    let same = [("URL".to_owned(), ss_core::redact::Secret::new(password))].into();
    world.vault.replace_credentials("db", same).await.expect("written");
    assert!(matches!(observed(&world, "db").await, Observed::Same));
    // A fresh checkout has no vault to compare with.
    world.vault.replace_credentials("db", Default::default()).await.expect("written");
    assert!(matches!(observed(&world, "db").await, Observed::Same));
}

#[tokio::test]
async fn what_is_not_there_is_gone() {
    let world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    world.cloud.meddle(|things| things.clear());
    assert!(matches!(observed(&world, "db").await, Observed::Gone));
    let unmade = Recorded { resource_id: None, ..world.recorded("db").await.unwrap() };
    let mut state = world.state().await;
    state.services.insert(sample::service("db"), unmade);
    let run = world.run(&Faults::none());
    let all = observe(&run, &state).await;
    assert!(matches!(all[&sample::service("db")], Observed::Gone));
    assert_eq!(run.counts().read, 0, "without an id there is nothing to ask");
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_hides_nothing_else() {
    let mut world = World::new();
    world.offer("other", Things::named("other"));
    let other = crate::world::wants_of(&Things::named("other"), "b", json!({"size": 1}));
    world.deploy(&[wants("a", 1), other]).await;
    world.withdraw("other");
    let run = world.run(&Faults::none());
    let all = observe(&run, &world.state().await).await;
    assert!(matches!(all[&sample::service("a")], Observed::Same));
    let Observed::Unknown(failure) = &all[&sample::service("b")] else { panic!("unknown") };
    assert_eq!(failure.code, "SS0301");

    world.cloud.answers("getThing", Answer::Says(500, json!({})));
    let Observed::Unknown(failure) = observed(&world, "a").await else { panic!("unknown") };
    assert_eq!(failure.code, "SS0315");
}

#[tokio::test]
async fn a_token_that_is_missing_is_named() {
    let mut world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    world.vault = std::sync::Arc::default();
    let Observed::Unknown(failure) = observed(&world, "db").await else { panic!("unknown") };
    assert_eq!(failure.code, "SS0511");
    assert!(failure.hints.iter().any(|hint| hint.contains("ss vault set thing.token")));
}

#[tokio::test]
async fn nothing_unsafe_leaves_whatever_a_provisioner_tries() {
    let tries = Things::honest().reading(|_, recorded, mut host| async move {
        let id = recorded.id.as_str();
        let calls = [
            with(call("createThing", &[]), &json!({})),
            with(on("changeThing", id), &json!({"size": 9})),
            call("touchThing", &[("thing", id), ("touch", "1")]),
            on("deleteThing", id),
        ];
        for call in calls {
            let denied = send(&mut host, call).await?.expect_err("denied");
            assert_eq!(denied.kind, CallFailureKind::Denied);
        }
        host.checkpoint(thing("other", &Value::Null)).await.map_err(CallError::Aborted)?;
        Err(failed(FailureKind::Broken, "nothing works\u{1b}[2J"))
    });
    let mut world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    let (before, record) = (world.cloud.seen().len(), world.recorded("db").await);
    let journal = world.log.lines().len();
    world.offer("thing", tries);
    let run = world.run(&Faults::none());
    let all = observe(&run, &world.state().await).await;
    let Observed::Unknown(failure) = &all[&sample::service("db")] else { panic!("unknown") };
    assert_eq!(failure.code, "SS0340");
    let hints = failure.hints.concat();
    assert!(hints.contains("nothing works") && !hints.contains('\u{1b}'), "{hints}");
    assert_eq!(world.cloud.seen().len(), before);
    assert_eq!(world.log.lines().len(), journal, "reading writes nothing down");
    assert_eq!(world.recorded("db").await, record);
    let ledger = run.requests();
    assert_eq!(ledger.len(), 4);
    assert!(ledger.iter().all(|line| line.attempts == 0));
}
