//! Walking a plan: order, width, failures, replaces, destroys, stops, and what is written down of it all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use ss_core::ident::ServiceId;
use ss_core::plan::Action;
use ss_core::record::{CallKind, DeployStatus};
use ss_core::state::{Progress, mark};
use ss_engine::{Stop, execute, note_unchanged};
use ss_gate::call::{FailureKind, NamedSecret};
use ss_ports::{CallError, Event, StateStore};
use ss_testkit::{MemoryVault, sample};

use crate::cloud::Answer;
use crate::faults::{Fault, Faults};
use crate::things::{self, Things, call, ensure, failed, on, outcome, send, thing, with};
use crate::world::{LINEAGE, World, after, entries, taking, told, wants, wants_of};

fn positions(world: &World, wanted: &[&str]) -> Vec<usize> {
    let lines = world.log.lines();
    let at = |line: &&str| lines.iter().position(|found| found == line).expect(line);
    wanted.iter().map(at).collect()
}

#[tokio::test]
async fn what_is_stood_on_comes_first() {
    let world = World::new();
    let wanted = [wants("db", 1), taking(wants("api", 1), "db"), after(wants("web", 1), &["api"])];
    let report = world.deploy(&wanted).await;
    assert_eq!(
        told(&report),
        ["db: create completed", "api: create completed", "web: create completed"]
    );
    let at = positions(&world, &["intent db", "done db", "intent api", "done api", "intent web"]);
    assert!(at.is_sorted(), "{:?}", world.log.lines());
    let url = world.credential("db", "URL").await.expect("written");
    let env = world.cloud.things().into_values().map(|thing| thing.env["URL"].clone());
    assert!(env.into_iter().any(|value| value == url), "api got what db gave");
    assert!(world.plan(&world.state().await, &wanted).await.is_empty());
    world.holds_no_secret(&[&url]).await;
    world.is_settled().await;
}

#[tokio::test]
async fn a_deploy_is_written_down_in_an_order_that_survives_a_crash() {
    let world = World::new();
    let report = world.deploy(&[wants("db", 1)]).await;
    let lines = world.log.lines();
    let kept: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.contains(" getThing") && *line != "tape answer in the cache")
        .collect();
    assert_eq!(
        kept,
        [
            "send whoAmI",
            "begin",
            "receipt running",
            "intent db",
            "tape listThings in the cache",
            "send listThings",
            "tape createThing durably",
            "send createThing",
            "tape answer durably",
            "checkpoint db",
            "tape changeThing durably",
            "send changeThing",
            "tape answer durably",
            "tape touchThing durably",
            "send touchThing",
            "tape getPassword in the cache",
            "send getPassword",
            "tape answer durably",
            "vault db",
            "done db",
            "snapshot",
            "receipt completed",
            "commit",
        ]
    );
    assert_eq!(report.receipt.status, DeployStatus::Completed);
    assert_eq!(report.receipt.serial, 1);
    assert_eq!((report.receipt.counts.read, report.receipt.counts.write), (5, 3));
    assert_eq!(report.receipt.services[0].summary, "thing ready");
    let state = world.state().await;
    assert_eq!((state.serial, state.deploy.as_ref()), (1, Some(&report.receipt.header.id)));
    assert_eq!(world.store.journal(), []);
    let snapshot = world.store.snapshot(&report.receipt.header.id).await.unwrap().expect("kept");
    assert_eq!(snapshot.state, state);
    let receipts = world.store.receipts().await.unwrap().found;
    assert_eq!(receipts, [report.receipt]);
}

#[tokio::test]
async fn independent_services_run_side_by_side_up_to_the_bound() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (now.clone(), most.clone());
    let things = Things::honest().applying(move |service, _, _host| {
        let (now, most) = counted.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(outcome(&service.id, &Value::Null, Vec::new()))
        }
    });
    let mut world = World::with(things);
    world.settings.parallelism = 3;
    let ids: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    let wanted: Vec<_> = ids.iter().map(|id| wants(id, 1)).collect();
    let report = world.deploy(&wanted).await;
    assert_eq!(report.receipt.status, DeployStatus::Completed);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

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
async fn a_service_becomes_an_update_only_when_an_injected_value_changed() {
    let world = World::new();
    let wanted = |size| [wants("db", size), taking(wants("api", 1), "db")];
    world.deploy(&wanted(1)).await;
    let report = world.deploy(&wanted(2)).await;
    assert_eq!(told(&report), ["db: update completed", "api: unchanged unchanged"]);

    world.cloud.meddle(|things| {
        for thing in things.values_mut() {
            thing.password.push_str("-rotated");
        }
    });
    let report = world.deploy(&wanted(3)).await;
    assert_eq!(told(&report), ["db: update completed", "api: update completed"]);
    let url = world.credential("db", "URL").await.unwrap();
    assert!(url.contains("rotated"));
    assert!(world.cloud.things().values().any(|thing| thing.env["URL"] == url));
    assert!(world.plan(&world.state().await, &wanted(3)).await.is_empty());
}

#[tokio::test]
async fn without_the_credentials_of_another_machine_nothing_is_said_of_an_injected_value() {
    let mut world = World::new();
    let wanted = |size| [wants("a", size), taking(wants("b", 1), "a"), taking(wants("c", 1), "b")];
    world.deploy(&wanted(1)).await;
    world.vault = Arc::new(MemoryVault::with_tokens([("thing.token", crate::cloud::TOKEN)]));
    let report = world.deploy(&wanted(2)).await;
    assert_eq!(
        told(&report),
        ["a: update completed", "b: unchanged unchanged", "c: unchanged unchanged"]
    );

    let report = world
        .deploy(&[wants("a", 2), taking(wants("b", 1), "a"), taking(wants("c", 9), "b")])
        .await;
    assert_eq!(report.failures[&sample::service("c")].code, "SS0303");
}

#[tokio::test]
async fn a_replace_destroys_then_makes_the_next_generation() {
    let world = World::new();
    let things = Things::honest();
    let wanted = |region: &str| [wants_of(&things, "db", json!({"size": 1, "region": region}))];
    world.deploy(&wanted("eu")).await;
    let (old, first) = (world.cloud.things(), world.recorded("db").await.unwrap());
    let report = world.deploy(&wanted("us")).await;
    assert_eq!(told(&report), ["db: replace completed"]);
    let (new, second) = (world.cloud.things(), world.recorded("db").await.unwrap());
    assert_eq!(new.len(), 1);
    assert!(old.keys().all(|id| !new.contains_key(id)));
    assert_eq!((first.generation, second.generation), (0, 1));
    let marks: Vec<&String> = old.values().chain(new.values()).map(|thing| &thing.mark).collect();
    let id = sample::service("db");
    assert_eq!(*marks[0], mark(LINEAGE, "prod", &id, 0));
    assert_eq!(*marks[1], mark(LINEAGE, "prod", &id, 1));
    assert_eq!(world.state().await.retired[&id], 1);
    assert_ne!(first.owned, second.owned);
    assert!(world.credential("db", "URL").await.is_some());
    assert!(world.plan(&world.state().await, &wanted("us")).await.is_empty());
}

#[tokio::test]
async fn another_target_type_is_destroyed_by_the_plugin_that_made_it() {
    let mut world = World::new();
    world.offer("other", Things::named("other"));
    world.deploy(&[wants("db", 1)]).await;
    let wanted = [wants_of(&Things::named("other"), "db", json!({"size": 2}))];
    let report = world.deploy(&wanted).await;
    assert_eq!(told(&report), ["db: replace completed"]);
    assert_eq!(world.recorded("db").await.unwrap().provider, "other");
    assert_eq!(world.cloud.things().len(), 1);
}

#[tokio::test]
async fn destroy_goes_the_other_way_round() {
    let world = World::new();
    world.deploy(&[wants("db", 1), taking(wants("api", 1), "db")]).await;
    let report = world.destroy().await;
    assert_eq!(told(&report), ["api: destroy completed", "db: destroy completed"]);
    assert!(positions(&world, &["gone api", "gone db"]).is_sorted());
    assert!(world.cloud.things().is_empty());
    let state = world.state().await;
    assert!(state.services.is_empty());
    assert_eq!(state.retired.len(), 2);
    assert_eq!(world.credential("db", "URL").await, None);
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

#[tokio::test]
async fn a_lost_answer_that_stays_lost_leaves_a_record_to_go_on_from() {
    let world = World::with(Things::honest().applying(|_, _, mut host| async move {
        let create = with(call("createThing", &[]), &json!({}));
        let failure = send(&mut host, create).await?.expect_err("it is lost");
        Err(failed(FailureKind::Unavailable, &failure.message))
    }));
    world.cloud.answers("createThing", Answer::DoneAndLost);
    world.deploy(&[wants("db", 1)]).await;
    let record = world.recorded("db").await.expect("it may exist, so it is recorded");
    assert_eq!(record.resource_id, None);
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

/// Stops the run while it waits for its first thing.
fn stopping(stop: Arc<Mutex<Option<Stop>>>) -> Things {
    Things::named("slow").applying(move |service, recorded, mut host| {
        let stop = stop.lock().unwrap().take();
        async move {
            if let Some(stop) = stop {
                host.step("stopping".to_owned()).await.map_err(CallError::Aborted)?;
                ensure(&mut host, &service.mark).await?;
                stop.stop();
                host.wait(1_000).await.map_err(CallError::Aborted)?;
                unreachable!("the run is stopped");
            }
            things::apply(service, recorded, host).await
        }
    })
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_leaves_the_rest() {
    let slot = Arc::new(Mutex::new(None));
    let mut world = World::new();
    world.offer("slow", stopping(slot.clone()));
    world.settings.parallelism = 1;
    let slow = wants_of(&Things::named("slow"), "slow", json!({"size": 1}));
    let wanted = [wants("first", 1), slow, after(wants("child", 1), &["slow"]), wants("zlast", 1)];
    let run = world.run(&Faults::none());
    *slot.lock().unwrap() = Some(run.stop.clone());
    let report = world.deploy_on(&run, &wanted).await.unwrap();
    assert_eq!(
        told(&report),
        [
            "first: create completed",
            "slow: create interrupted",
            "child: create blocked",
            "zlast: create interrupted"
        ]
    );
    assert_eq!(report.receipt.status, DeployStatus::Interrupted);
    assert!(report.failures.is_empty() && report.trouble.is_none());
    let open = world.open().await;
    assert_eq!((open.len(), open[0].kind), (1, CallKind::Create));
    let journal = entries(&world.store.journal());
    assert!(journal.contains(&"done first".to_owned()), "{journal:?}");
    assert_eq!(
        world.state().await.services.len(),
        2,
        "what was finished is known before any commit"
    );

    let report = world.deploy(&wanted).await;
    assert_eq!(report.receipt.status, DeployStatus::Completed);
    assert_eq!(world.cloud.things().len(), 4);
    assert_eq!(world.cloud.asked("createThing"), 4);
    world.is_settled().await;
}

#[tokio::test]
async fn a_stop_before_anything_begins_leaves_nothing_open() {
    let world = World::new();
    let run = world.run(&Faults::none());
    run.stop.stop();
    let report = world.deploy_on(&run, &[wants("db", 1)]).await.unwrap();
    assert_eq!(told(&report), ["db: create interrupted"]);
    assert_eq!(report.receipt.status, DeployStatus::Interrupted);
    world.is_settled().await;
}

#[tokio::test]
async fn a_commit_that_fails_is_told_and_loses_nothing() {
    let world = World::new();
    let points = {
        let dry = World::new();
        let faults = Faults::none();
        dry.deploy_under(&faults, &[wants("db", 1)]).await.unwrap().unwrap();
        faults.passed()
    };
    // The last two points are before the commit and after it.
    let faults = Faults::at(points - 2, Fault::DiskFull);
    let report = world.deploy_under(&faults, &[wants("db", 1)]).await.unwrap().unwrap();
    assert_eq!(report.trouble.as_ref().map(|failure| failure.code), Some("SS0405"));
    assert_eq!((report.receipt.serial, world.state().await.serial), (0, 0));
    assert_eq!(world.state().await.services.len(), 1);
    let report = world.deploy(&[wants("db", 1)]).await;
    assert_eq!(told(&report), ["db: unchanged unchanged"]);
    assert_eq!(report.receipt.serial, 1);
    world.is_settled().await;
}

#[tokio::test]
async fn what_is_unchanged_still_learns_what_the_configuration_says_of_it() {
    let world = World::new();
    world.deploy(&[wants("a", 1), wants("b", 1)]).await;
    let mut wanted = [wants("a", 1), after(wants("b", 1), &["a"])];
    wanted[0].protect = Some(true);
    let mut state = world.state().await;
    let plan = world.plan(&state, &wanted).await;
    assert!(plan.is_empty());
    assert!(note_unchanged(&plan, &mut state));
    assert!(!note_unchanged(&plan, &mut state), "once");
    world.deploy(&wanted).await;
    assert!(world.recorded("a").await.unwrap().protect);
    let below: Vec<ServiceId> = world.recorded("b").await.unwrap().depends_on.into_iter().collect();
    assert_eq!(below, [sample::service("a")]);
}

#[tokio::test]
async fn the_user_hears_of_the_outputs_that_are_waited_for() {
    let mut world = World::new();
    let taken = [(sample::service("db"), ["URL".to_owned()].into())];
    world.settings.taken = taken.into_iter().collect();
    world.deploy(&[wants("db", 1)]).await;
    assert_eq!(world.shown(), ["Thing created", "URL written to vault"]);
}

#[tokio::test]
async fn a_run_can_move_between_threads() {
    let world = World::new();
    let run = world.run(&Faults::none());
    let plan = world.plan(&world.state().await, &[wants("db", 1)]).await;
    let state = world.state().await;
    let report = tokio::spawn(async move { execute(&run, &plan, state).await }).await;
    assert_eq!(report.unwrap().unwrap().receipt.status, DeployStatus::Completed);
    assert_eq!(thing("th-1", &json!(1)).attributes, world.recorded("db").await.unwrap().attributes);
}
