//! Services that fail: what it stops, what is recorded then, and how the next run goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use ss_core::plan::Action;
use ss_core::record::DeployStatus;
use ss_core::state::{Progress, mark};
use ss_gate::call::{FailureKind, NamedSecret};
use ss_ports::{CallError, Event};
use ss_testkit::sample;

use crate::cloud::Answer;
use crate::things::{self, Things, call, ensure, failed, on, outcome, with};
use crate::world::{LINEAGE, World, after, told, wants, wants_of};

#[tokio::test]
async fn a_failure_blocks_what_stands_on_it_and_nothing_else() {
    let mut world = World::new();
    // So that it is surely the first whose create is turned down.
    world.settings.parallelism = 1;
    world.cloud.answers("createThing", Answer::Says(422, json!({"message": "no"})));
    let mut wanted = vec![wants("bad", 1), after(wants("child", 1), &["bad"])];
    wanted.extend([after(wants("grandchild", 1), &["child"]), wants("good", 1)]);
    let report = world.deploy(&wanted).await;
    assert_eq!(
        told(&report),
        [
            "bad: create failed",
            "child: create blocked",
            "grandchild: create blocked",
            "good: create completed"
        ]
    );
    assert_eq!(report.receipt.status, DeployStatus::Failed);
    let failure = &report.failures[&sample::service("bad")];
    assert_eq!(failure.code, "SS0312");
    let by = |event: &Event| match event {
        Event::Blocked { service, by } => Some((service.to_string(), by.to_string())),
        _ => None,
    };
    let blocked: Vec<_> = world.events().iter().filter_map(by).collect();
    assert_eq!(blocked, [("child".into(), "bad".into()), ("grandchild".into(), "child".into())]);
    assert_eq!(world.state().await.services.len(), 1, "a create that was turned down made nothing");
    assert_eq!(world.deploy(&wanted).await.receipt.status, DeployStatus::Completed);
    world.is_settled().await;
}

#[tokio::test]
async fn a_plugin_that_is_not_there_fails_its_service_only() {
    let mut world = World::new();
    world.offer("other", Things::named("other"));
    world.deploy(&[wants("a", 1), wants_of(&Things::named("other"), "b", json!({}))]).await;
    world.withdraw("other");
    let report = world.destroy().await;
    assert_eq!(told(&report), ["a: destroy completed", "b: destroy failed"]);
    assert_eq!(report.failures[&sample::service("b")].code, "SS0301");
    assert_eq!(world.recorded("b").await.unwrap().progress, Progress::Complete);
    world.offer("other", Things::named("other"));
    assert_eq!(told(&world.destroy().await), ["b: destroy completed"]);
    assert!(world.cloud.things().is_empty());
}

#[tokio::test]
async fn a_destroy_that_fails_is_done_the_next_time() {
    let world = World::new();
    world.deploy(&[wants("a", 1), wants("b", 1)]).await;
    world.cloud.answers("deleteThing", Answer::Says(500, json!({})));
    let report = world.destroy().await;
    assert_eq!(told(&report), ["a: destroy failed", "b: destroy completed"]);
    assert_eq!(world.recorded("a").await.unwrap().progress, Progress::Partial);
    assert!(
        world.credential("a", "URL").await.is_some(),
        "what is still there keeps its credentials"
    );
    assert_eq!(told(&world.destroy().await), ["a: destroy completed"]);
    assert!(world.cloud.things().is_empty());
}

#[tokio::test]
async fn a_create_that_failed_after_a_checkpoint_is_gone_on_with() {
    let world = World::new();
    world.cloud.answers("touchThing", Answer::Says(500, json!({})));
    world.cloud.answers("getPassword", Answer::Says(500, json!({})));
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(told(&report), ["db: create failed"]);
    let record = world.recorded("db").await.expect("kept");
    assert_eq!((record.progress, record.resource_id.as_deref()), (Progress::Partial, Some("th-1")));
    assert!(world.open().await.is_empty());
    let plan = world.plan(&world.state().await, &[wants("db", 1)]).await;
    assert_eq!(plan.steps[0].action, Action::Update);
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(told(&report), ["db: update completed"]);
    assert_eq!(world.cloud.asked("createThing"), 1);
    world.is_settled().await;
}

/// Creates blindly, makes no checkpoint, and fails once after that. Then it changes what it finds without a mark.
fn careless(failures: Arc<AtomicUsize>) -> Things {
    Things::honest().applying(move |service, recorded, mut host| {
        let failures = failures.clone();
        async move {
            assert!(recorded.is_none(), "nothing was checkpointed");
            if failures.fetch_add(1, Ordering::SeqCst) == 0 {
                things::answer(&mut host, with(call("createThing", &[]), &json!({}))).await?;
                return Err(failed(FailureKind::Unavailable, "not now"));
            }
            let change = with(on("changeThing", "th-1"), &json!({"size": service.target["size"]}));
            let reply = things::answer(&mut host, change).await?;
            assert_eq!(reply.status, 200);
            Ok(outcome("th-1", &service.target["size"], Vec::new()))
        }
    })
}

#[tokio::test]
async fn an_id_that_was_learned_before_a_failure_stays_the_services_own() {
    let world = World::with(careless(Arc::default()));
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(told(&report), ["db: create failed"]);
    let record = world.recorded("db").await.expect("kept");
    assert_eq!(record.resource_id, None);
    assert!(record.owned["api"]["thing"].contains("th-1"), "{:?}", record.owned);
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(told(&report), ["db: create completed"]);
    assert_eq!(world.cloud.things()["th-1"].size, 1);
}

#[tokio::test]
async fn what_failed_before_it_sent_anything_unsafe_leaves_the_record_as_it_was() {
    let world = World::new();
    world.deploy(&[wants("db", 1)]).await;
    let before = world.recorded("db").await;
    world.cloud.answers("getThing", Answer::Lost);
    let report = world.deploy(&[wants("db", 2), wants("other", 1)]).await;
    assert_eq!(told(&report), ["db: update failed", "other: create completed"]);
    assert!(world.log.lines().contains(&"untouched db".to_owned()));
    assert_eq!(world.recorded("db").await, before);
    let plan = world.plan(&world.state().await, &[wants("db", 2)]).await;
    assert_eq!(plan.steps[0].changes.len(), 1, "the change is still to be made");
}

/// A create whose answer is lost, by a vendor that cannot be reached any more.
async fn lost_create(create: Answer) -> World {
    let world = World::new();
    world.cloud.answers("listThings", Answer::Says(200, json!([])));
    world.cloud.answers("listThings", Answer::Lost);
    world.cloud.answers("createThing", create);
    world.deploy(&[wants("db", 1)]).await;
    let record = world.recorded("db").await.expect("it may exist, so it is recorded");
    assert_eq!(record.resource_id, None);
    world
}

#[tokio::test]
async fn what_a_lost_answer_may_have_made_is_found_before_it_is_destroyed() {
    for create in [Answer::DoneAndLost, Answer::Lost] {
        let world = lost_create(create).await;
        // As long as the vendor cannot be asked, nothing is forgotten.
        world.cloud.answers("listThings", Answer::Lost);
        assert_eq!(told(&world.destroy().await), ["db: destroy failed"]);
        assert!(world.recorded("db").await.is_some());
        assert_eq!(told(&world.destroy().await), ["db: destroy completed"]);
        assert!(world.cloud.things().is_empty(), "an orphan is left");
        assert!(world.state().await.services.is_empty());
        assert_eq!(world.cloud.asked("changeThing"), 0, "it was brought up only to be destroyed");
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_forgotten_with_its_mark() {
    let world = lost_create(Answer::Lost).await;
    world.cloud.answers("createThing", Answer::Says(422, json!({})));
    let report = world.destroy().await;
    let mark = mark(LINEAGE, "prod", &sample::service("db"), 0);
    let summary = &report.receipt.services[0].summary;
    assert!(summary.starts_with("forgotten") && summary.ends_with(&mark), "{summary}");
    assert!(world.state().await.services.is_empty());
}

#[tokio::test]
async fn an_outcome_that_cannot_be_used_keeps_the_resource_on_record() {
    let undeclared = |name: &str, value| {
        let output = NamedSecret { name: name.to_owned(), value };
        Things::honest().applying(move |service, recorded, mut host| {
            let output = output.clone();
            async move {
                let id = match recorded {
                    Some(recorded) => recorded.id,
                    None => ensure(&mut host, &service.mark).await?,
                };
                Ok(outcome(&id, &Value::Null, vec![output]))
            }
        })
    };
    for (name, value) in [("TOKEN\u{1b}[2J", 0), ("URL", 99)] {
        let mut world = World::with(undeclared(name, value));
        let report = world.deploy(&[wants("db", 1)]).await;
        let failure = &report.failures[&sample::service("db")];
        assert_eq!(failure.code, "SS0322");
        assert!(!failure.message.contains('\u{1b}'), "{}", failure.message);
        let record = world.recorded("db").await.expect("kept");
        assert_eq!(
            (record.progress, record.resource_id.as_deref()),
            (Progress::Partial, Some("th-1"))
        );
        assert!(
            world.open().await.is_empty(),
            "the same code would give the same outcome for ever"
        );
        world.offer("thing", Things::honest());
        assert_eq!(told(&world.deploy(&[wants("db", 1)]).await), ["db: update completed"]);
        assert_eq!(world.cloud.things().len(), 1);
        world.is_settled().await;
    }
}

#[tokio::test]
async fn each_way_to_end_badly_has_its_code() {
    let ends: [(CallError, &str); 4] = [
        (failed(FailureKind::Invalid, "a\u{1b}[1mb"), "SS0310"),
        (
            CallError::Trapped { message: "out of bounds".into(), stderr: "panicked\u{7}".into() },
            "SS0320",
        ),
        (CallError::Exhausted("too slow".to_owned()), "SS0321"),
        (CallError::Unusable("no export".to_owned()), "SS0322"),
    ];
    for (error, code) in ends {
        let world = World::with(Things::honest().applying(move |_, _, _| {
            let error = error.clone();
            async move { Err(error) }
        }));
        let report = world.deploy(&[wants("db", 1)]).await;
        let failure = &report.failures[&sample::service("db")];
        assert_eq!(failure.code, code);
        let shown = format!("{}{:?}", failure.message, failure.hints);
        assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown}");
        assert!(world.state().await.services.is_empty());
        world.is_settled().await;
    }
}

#[tokio::test]
async fn a_plan_for_another_build_is_not_executed() {
    let world = World::with(Things::honest().rebuilt());
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(report.failures[&sample::service("db")].code, "SS0302");
    assert!(world.cloud.things().is_empty());
}
