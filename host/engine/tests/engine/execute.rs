//! Walking a plan: order, width, failures, replaces, destroys, stops, and what is written down of it all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use ss_core::ident::ServiceId;
use ss_core::record::{CallKind, DeployStatus};
use ss_core::state::mark;
use ss_engine::{Stop, execute, note_unchanged};
use ss_ports::{CallError, StateStore};
use ss_testkit::{MemoryVault, sample};

use crate::faults::{Fault, Faults};
use crate::things::{self, Things, ensure, outcome, thing};
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
            "tape checkpoint",
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
