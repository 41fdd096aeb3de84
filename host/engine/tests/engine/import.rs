//! Taking over what somebody else made: nothing unsafe leaves, and only what was named becomes this system's own.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use ss_core::state::Progress;
use ss_engine::{Failure, Imported, import};
use ss_gate::call::{CallFailureKind, FailureKind};
use ss_ports::StateStore;

use crate::cloud::Thing;
use crate::faults::Faults;
use crate::things::{Things, answer, call, failed, on, outcome, send, thing, with};
use crate::world::{World, wants};

/// A world in which somebody made a thing, and another.
fn world(things: Things) -> World {
    let world = World::with(things);
    world.cloud.meddle(|all| {
        for (id, size) in [("theirs", 7), ("another", 8)] {
            let password = format!("pw-{id}-0123456789");
            let (mark, env) = (String::new(), Value::Null);
            let thing = Thing { mark, size: json!(size), env, password, starting: 0 };
            all.insert(id.to_owned(), thing);
        }
    });
    world
}

async fn imported(world: &World, id: &str, size: u32) -> Result<Imported, Failure> {
    let before = world.cloud.things();
    let run = world.run(&Faults::none());
    let state = world.state().await;
    let plan = world.plan(&state, &[wants("db", size)]).await;
    let imported = import(&run, state, &plan.steps[0], id).await;
    assert_eq!(run.counts().write, 0, "nothing unsafe leaves");
    assert_eq!(world.cloud.things(), before);
    imported
}

/// Changes nothing when the size is right, as a good provisioner does.
fn careful() -> Things {
    Things::honest().applying(|service, recorded, mut host| async move {
        let id = recorded.expect("a record").id;
        let size =
            crate::things::body(&answer(&mut host, on("getThing", &id)).await?)["size"].clone();
        if size != service.target["size"] {
            let change = with(on("changeThing", &id), &json!({"size": service.target["size"]}));
            // A refusal that is swallowed is a refusal all the same.
            let _ = send(&mut host, change).await?;
        }
        let captured = answer(&mut host, on("getPassword", &id)).await?.captured;
        let mut outputs = captured;
        outputs[0].name = "URL".to_owned();
        Ok(outcome(&id, &size, outputs))
    })
}

#[tokio::test]
async fn what_is_as_wanted_is_complete_with_its_credentials() {
    let world = world(careful());
    let taken = imported(&world, "theirs", 7).await.expect("imported");
    assert_eq!((taken.pending, taken.record.progress), (None, Progress::Complete));
    assert_eq!(taken.record.owned["api"]["thing"], BTreeSet::from(["theirs".to_owned()]));
    assert_eq!(world.credential("db", "URL").await.as_deref(), Some("pw-theirs-0123456789"));
    assert!(world.plan(&world.state().await, &[wants("db", 7)]).await.is_empty());
    world.is_settled().await;
    world.holds_no_secret(&[]).await;
    let snapshot = world.store.snapshot(&taken.receipt.header.id).await.expect("readable");
    assert_eq!(snapshot.map(|snapshot| snapshot.state), Some(world.state().await));
}

#[tokio::test]
async fn what_differs_is_planned_and_then_ours_to_change() {
    let world = world(careful());
    let taken = imported(&world, "theirs", 9).await.expect("imported");
    assert_eq!(taken.pending.as_deref(), Some("it begins with `changeThing`"));
    assert_eq!(world.credential("db", "URL").await, None);
    let plan = world.plan(&world.state().await, &[wants("db", 9)]).await;
    assert_eq!(plan.steps[0].summary, "will update (size)");
    assert_eq!(plan.steps[0].changes[0].before, Some(json!(7)));
    world.deploy(&[wants("db", 9)]).await;
    assert_eq!(world.cloud.things()["theirs"].size, 9);
    world.is_settled().await;
}

#[tokio::test]
async fn a_thing_that_is_not_there_is_told_and_nothing_is_recorded() {
    let world = world(Things::honest());
    assert_eq!(imported(&world, "nobodys", 7).await.expect_err("refused").code, "SS0316");
    assert_eq!(world.recorded("db").await, None);
    assert!(world.store.receipts().await.expect("readable").found.is_empty());
}

#[tokio::test]
async fn a_hostile_provisioner_gets_nothing_out_and_only_what_was_named() {
    let tries = Things::honest()
        .reading(|_, recorded, mut host| async move {
            let id = recorded.id.as_str();
            answer(&mut host, call("listThings", &[])).await?;
            answer(&mut host, on("getThing", "another")).await?;
            answer(&mut host, on("getThing", id)).await?;
            for call in
                [on("deleteThing", id), on("getPassword", "another"), on("deleteThing", "another")]
            {
                let denied = send(&mut host, call).await?.expect_err("denied");
                assert_eq!(denied.kind, CallFailureKind::Denied);
            }
            Ok(Some(thing(id, &json!(7))))
        })
        .applying(|_, _, mut host| async move {
            for id in ["theirs", "another"] {
                let denied = send(&mut host, on("deleteThing", id)).await?.expect_err("denied");
                assert_eq!(denied.kind, CallFailureKind::Denied);
            }
            Err(failed(FailureKind::Broken, "nothing works"))
        });
    let world = world(tries);
    let taken = imported(&world, "theirs", 7).await.expect("imported");
    assert_eq!(taken.record.owned["api"]["thing"], BTreeSet::from(["theirs".to_owned()]));
    assert_eq!(taken.pending.as_deref(), Some("it begins with `deleteThing`"));
    assert_eq!(world.cloud.things().len(), 2);
    assert_eq!(
        world.recorded("db").await.expect("recorded").resource_id.as_deref(),
        Some("theirs")
    );
}
