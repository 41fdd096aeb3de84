//! Which token goes out, and that a bad one is found before anything is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use ss_core::redact::Secret;
use ss_engine::{EnvCredential, Failure};
use ss_ports::EgressError;
use ss_testkit::{MemoryVault, sample};

use crate::cloud::{Answer, TOKEN};
use crate::faults::Faults;
use crate::things::Things;
use crate::world::{World, told, wants, wants_of};

fn env(value: Option<&str>) -> EnvCredential {
    EnvCredential { variable: "THING_TOKEN".to_owned(), value: value.map(Secret::from) }
}

fn world(stored: Option<&str>, variable: Option<EnvCredential>) -> World {
    let tokens = stored.map(|token| ("thing.token", token));
    let mut world = World::on(MemoryVault::with_tokens(tokens), Things::honest());
    let credentials = variable.map(|variable| (sample::service("db"), variable));
    world.settings.credentials = BTreeMap::from_iter(credentials);
    world
}

async fn refused(world: &World) -> Failure {
    let run = world.run(&Faults::none());
    let failure = world.deploy_on(&run, &[wants("db", 1)]).await.expect_err("refused");
    assert!(world.cloud.things().is_empty());
    assert!(world.log.lines().iter().all(|line| line == "send whoAmI"), "nothing was begun");
    assert!(!format!("{failure:?}").contains(TOKEN));
    failure
}

#[tokio::test]
async fn the_variable_goes_before_the_vault() {
    for world in [
        world(Some("stale-token"), Some(env(Some(TOKEN)))),
        world(Some(TOKEN), Some(env(None))),
        world(Some(TOKEN), None),
    ] {
        assert_eq!(told(&world.deploy(&[wants("db", 1)]).await), ["db: create completed"]);
        let sent = format!("Bearer {TOKEN}");
        assert!(world.cloud.seen().iter().all(|seen| seen.authorization.as_ref() == Some(&sent)));
    }
}

#[tokio::test]
async fn a_missing_token_names_both_places() {
    let failure = refused(&world(None, Some(env(None)))).await;
    assert_eq!(failure.code, "SS0511");
    assert!(failure.message.contains("`db` needs the credential `thing.token`"));
    assert!(failure.hints[0].contains("THING_TOKEN"));
    assert!(failure.hints[1].contains("ss vault set thing.token"));
    assert!(failure.hints[2].contains("Ask for one."));
    let failure = refused(&world(None, None)).await;
    assert!(failure.hints[0].contains("ss vault set thing.token"));
}

#[tokio::test]
async fn a_bad_token_is_refused_before_anything_is_made() {
    let failure = refused(&world(Some("expired-token"), None)).await;
    assert_eq!(failure.code, "SS0512");
    assert!(failure.message.contains("answered 401"), "{}", failure.message);
    let failure = refused(&world(Some(TOKEN), Some(env(Some("expired-token"))))).await;
    assert!(failure.hints[0].contains("THING_TOKEN"), "{:?}", failure.hints);
    let forbidden = world(Some(TOKEN), None);
    forbidden.cloud.answers("whoAmI", Answer::Says(403, json!({})));
    assert_eq!(refused(&forbidden).await.code, "SS0512");
}

#[tokio::test]
async fn a_vendor_that_is_away_is_found_before_anything_is_made() {
    let world = world(Some(TOKEN), None);
    let away = EgressError::Unreachable("no route to host".to_owned());
    world.cloud.answers("whoAmI", Answer::Fails(away));
    let failure = refused(&world).await;
    assert_eq!(failure.code, "SS0513");
    assert!(failure.message.contains("no route to host"));
}

#[tokio::test]
async fn a_token_is_tried_once_however_many_services_use_it() {
    let world = World::new();
    let ids = ["a", "b", "c", "d"];
    let report = world.deploy(&ids.map(|id| wants(id, 1))).await;
    assert_eq!(world.cloud.asked("whoAmI"), 1);
    assert_eq!(report.receipt.requests[0].operation, "whoAmI", "the ledger has it too");

    let mut two = World::new();
    let another = EnvCredential { value: Some(Secret::from("another-token")), ..env(None) };
    two.settings.credentials.insert(sample::service("b"), another);
    two.cloud.answers("whoAmI", Answer::Says(200, json!({})));
    two.cloud.answers("whoAmI", Answer::Says(200, json!({})));
    two.deploy(&ids.map(|id| wants(id, 1))).await;
    assert_eq!(two.cloud.asked("whoAmI"), 2);
}

#[tokio::test]
async fn a_plan_without_changes_needs_no_token() {
    let mut world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    world.vault = Arc::default();
    let asked = world.cloud.seen().len();
    assert_eq!(told(&world.deploy(&[wants("db", 1)]).await), ["db: unchanged unchanged"]);
    assert_eq!(world.cloud.seen().len(), asked);
}

#[tokio::test]
async fn a_replace_by_another_type_needs_the_tokens_of_both() {
    let mut world = world(Some(TOKEN), None);
    world.deploy(&[wants("db", 1)]).await;
    let other = Things::named("other");
    world.offer("other", other.clone());
    world.vault = Arc::new(MemoryVault::with_tokens([("other.token", TOKEN)]));
    let run = world.run(&Faults::none());
    let wanted = [wants_of(&other, "db", json!({"size": 1}))];
    let failure = world.deploy_on(&run, &wanted).await.expect_err("refused");
    assert!(failure.message.contains("thing.token"), "{}", failure.message);
    assert_eq!(world.cloud.things().len(), 1);
}
