//! How an interrupted call is gone on with: replayed, looked for, left to the plan, or left open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use ss_core::plan::Desired;
use ss_core::record::{CallKind, DeployStatus};
use ss_core::state::Progress;
use ss_ports::{CallError, Event, StateStore, TapeRecord};
use ss_testkit::{MemoryVault, sample};

use crate::cloud::Answer;
use crate::crashes::{deploys, is_converged};
use crate::faults::{Fault, Faults};
use crate::things::{self, Things, answer, call, ensure, outcome, with};
use crate::world::{LINEAGE, World, entries, wants, wants_of};

/// Kills a run at the first point after this line of the log.
async fn killed_after(world: &World, line: &str, wanted: &[Desired]) {
    dies_after(world, Fault::Killed, line, wanted).await;
}

async fn dies_after(world: &World, fault: Fault, line: &str, wanted: &[Desired]) {
    for at in 0.. {
        let dry = World::new();
        let ended = dry.deploy_under(&Faults::at(at, fault), wanted).await;
        assert!(ended.is_none(), "`{line}` never comes");
        if dry.log.lines().iter().any(|found| found == line) {
            world.deploy_under(&Faults::at(at, fault), wanted).await;
            return;
        }
    }
}

#[tokio::test]
async fn a_call_that_had_ended_well_is_finished_from_its_tape_alone() {
    let wanted = [wants("db", 1)];
    for line in ["vault db", "done db"] {
        let world = World::new();
        dies_after(&world, Fault::KilledLate, line, &wanted).await;
        let asked = world.cloud.seen().len();
        let run = world.run(&Faults::none());
        let (_, recovered) = world.recover_on(&run).await.unwrap();
        assert_eq!(recovered.left_to_plan, [], "{line}");
        assert_eq!(world.cloud.seen().len(), asked, "{line}");
        deploys(&world, &wanted, line).await;
        is_converged(&world, &wanted, 1, line).await;
    }
}

#[tokio::test]
async fn between_the_halves_of_a_replace_the_old_credentials_stay() {
    let wanted =
        |region: &str| [wants_of(&Things::honest(), "db", json!({"size": 1, "region": region}))];
    for at in 0.. {
        let world = World::new();
        world.deploy(&wanted("eu")).await;
        let before = world.credential("db", "URL").await;
        let ended = world.deploy_under(&Faults::at(at, Fault::Killed), &wanted("us")).await;
        assert!(ended.is_none());
        if world.log.lines().iter().any(|line| line == "gone db") {
            assert!(world.cloud.things().is_empty());
            assert_eq!(world.credential("db", "URL").await, before);
            return;
        }
    }
}

#[tokio::test]
async fn a_replay_asks_the_vendor_nothing_twice() {
    let world = World::new();
    killed_after(&world, "checkpoint db", &[wants("db", 1)]).await;
    let before = world.cloud.seen().len();
    deploys(&world, &[wants("db", 1)], "").await;
    assert_eq!(world.cloud.asked("createThing"), 1);
    assert_eq!(world.cloud.asked("listThings"), 1);
    let after: Vec<String> =
        world.cloud.seen().split_off(before).into_iter().map(|seen| seen.operation).collect();
    assert_eq!(after, ["getThing", "getThing", "changeThing", "touchThing", "getPassword"]);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_in_the_crash_is_looked_for_first() {
    let wanted = [wants("db", 1)];
    let sent = World::new();
    killed_after(&sent, "send createThing", &wanted).await;
    assert_eq!(sent.cloud.things().len(), 1);
    deploys(&sent, &wanted, "").await;
    assert_eq!((sent.cloud.asked("createThing"), sent.cloud.asked("listThings")), (1, 2));

    let unsent = World::new();
    killed_after(&unsent, "tape createThing durably", &wanted).await;
    assert_eq!(unsent.cloud.things().len(), 0);
    deploys(&unsent, &wanted, "").await;
    assert_eq!((unsent.cloud.asked("createThing"), unsent.cloud.asked("listThings")), (1, 2));
}

#[tokio::test]
async fn the_receipt_of_a_killed_run_says_so() {
    let world = World::new();
    killed_after(&world, "send createThing", &[wants("db", 1)]).await;
    let statuses = async || -> Vec<DeployStatus> {
        let receipts = world.store.receipts().await.unwrap();
        receipts.into_iter().map(|receipt| receipt.status).collect()
    };
    assert_eq!(statuses().await, [DeployStatus::Running]);
    deploys(&world, &[wants("db", 1)], "").await;
    assert_eq!(statuses().await, [DeployStatus::Completed, DeployStatus::Interrupted]);
    let waiting = Event::Waiting {
        service: sample::service("db"),
        reason: "finishing an interrupted call".to_owned(),
    };
    assert!(world.events().contains(&waiting));
}

#[tokio::test]
async fn nothing_to_recover_is_nothing_done() {
    let world = World::new();
    deploys(&world, &[wants("db", 1)], "").await;
    let before = world.log.lines().len();
    let run = world.run(&Faults::none());
    let (state, recovered) = world.recover_on(&run).await.unwrap();
    assert_eq!(state, world.state().await);
    assert!(recovered.finished.is_empty() && recovered.left_to_plan.is_empty());
    assert_eq!(world.log.lines().len(), before);
}

/// Where a run is killed, and the id that is known then: from the tape alone, or from tape and journal. Without one
/// there is still what the answer made the service's own.
const KNOWN: [(&str, Option<&str>); 4] = [
    ("tape answer durably", None),
    ("tape checkpoint", Some("th-1")),
    ("checkpoint db", Some("th-1")),
    ("send changeThing", Some("th-1")),
];

/// Honest until its honesty is taken away: then it asks for other things first.
fn fickle(honest: Arc<AtomicBool>) -> Things {
    Things::honest().applying(move |service, recorded, mut host| {
        let honest = honest.load(Ordering::SeqCst);
        async move {
            if !honest {
                answer(&mut host, call("whoAmI", &[])).await?;
            }
            things::apply(service, recorded, host).await
        }
    })
}

#[tokio::test]
async fn a_provisioner_that_changed_its_mind_is_left_to_the_plan() {
    for (line, id) in KNOWN {
        let honest = Arc::new(AtomicBool::new(true));
        let world = World::with(fickle(honest.clone()));
        let wanted = [wants("db", 1)];
        killed_after(&world, line, &wanted).await;
        honest.store(false, Ordering::SeqCst);
        let run = world.run(&Faults::none());
        let (state, recovered) = world.recover_on(&run).await.unwrap();
        assert_eq!((recovered.finished.len(), recovered.left_to_plan.len()), (0, 1), "{line}");
        assert!(world.open().await.is_empty(), "{line}: it is not tried again for ever");
        let record = &state.services[&sample::service("db")];
        assert_eq!(record.progress, Progress::Partial);
        assert_eq!(record.resource_id.as_deref(), id, "{line}");
        assert!(record.owned["api"]["thing"].contains("th-1"), "{line}");
        deploys(&world, &wanted, line).await;
        is_converged(&world, &wanted, 1, line).await;
        assert_eq!(world.cloud.asked("createThing"), 1);
    }
}

#[tokio::test]
async fn a_divergence_before_any_write_leaves_nothing_behind() {
    let honest = Arc::new(AtomicBool::new(true));
    let world = World::with(fickle(honest.clone()));
    let wanted = [wants("db", 1)];
    for at in 0.. {
        world.deploy_under(&Faults::at(at, Fault::KilledLate), &wanted).await;
        if world.cloud.asked("listThings") > 0 {
            break;
        }
    }
    honest.store(false, Ordering::SeqCst);
    let run = world.run(&Faults::none());
    let (state, recovered) = world.recover_on(&run).await.unwrap();
    assert_eq!(recovered.left_to_plan.len(), 1);
    assert!(state.services.is_empty());
    deploys(&world, &wanted, "").await;
    is_converged(&world, &wanted, 1, "").await;
}

#[tokio::test]
async fn a_provisioner_that_asks_less_than_its_tape_has_diverged() {
    let lazy = Arc::new(AtomicBool::new(false));
    let is_lazy = lazy.clone();
    let world = World::with(Things::honest().applying(move |service, recorded, host| {
        let lazy = is_lazy.load(Ordering::SeqCst);
        async move {
            match lazy {
                true => Ok(outcome("made-up", &Value::Null, Vec::new())),
                false => things::apply(service, recorded, host).await,
            }
        }
    }));
    killed_after(&world, "checkpoint db", &[wants("db", 1)]).await;
    lazy.store(true, Ordering::SeqCst);
    let run = world.run(&Faults::none());
    let (state, recovered) = world.recover_on(&run).await.unwrap();
    assert_eq!(recovered.left_to_plan.len(), 1);
    let record = &state.services[&sample::service("db")];
    assert_eq!(record.resource_id.as_deref(), Some("th-1"), "the checkpoint stands");
}

#[tokio::test]
async fn another_build_of_the_plugin_leaves_it_to_the_plan_with_all_that_the_tape_knows() {
    for (line, id) in KNOWN {
        let mut world = World::new();
        killed_after(&world, line, &[wants("db", 1)]).await;
        let rebuilt = Things::honest().rebuilt();
        let wanted = [wants_of(&rebuilt, "db", json!({"size": 1, "region": "eu"}))];
        world.offer("thing", rebuilt);
        let run = world.run(&Faults::none());
        let (state, recovered) = world.recover_on(&run).await.unwrap();
        assert_eq!(recovered.left_to_plan.len(), 1);
        assert!(world.shown().iter().any(|line| line.contains("its plugin has changed")));
        let record = &state.services[&sample::service("db")];
        assert_eq!(record.resource_id.as_deref(), id, "{line}");
        assert!(record.owned["api"]["thing"].contains("th-1"), "{line}");
        deploys(&world, &wanted, line).await;
        is_converged(&world, &wanted, 1, line).await;
        assert_eq!(world.recorded("db").await.unwrap().plugin.digest, "sha256:thing-rebuilt");
    }
}

#[tokio::test]
async fn a_newer_build_finishes_the_destroy_that_it_began() {
    let mut world = World::new();
    deploys(&world, &[wants("db", 1)], "").await;
    world.offer("thing", Things::honest().rebuilt());
    let dry = Faults::none();
    let points = {
        let other = World::new();
        deploys(&other, &[wants("db", 1)], "").await;
        other.destroy_under(&dry).await.unwrap().unwrap();
        dry.passed()
    };
    for at in 0..points {
        world.destroy_under(&Faults::at(at, Fault::Killed)).await;
        // Before its first unsafe request a call has nothing on its tape, and is left to the plan.
        if let Some(open) = world.open().await.first()
            && world.store.read_tape(&open.call).await.unwrap().is_some_and(|tape| !tape.is_empty())
        {
            break;
        }
    }
    let run = world.run(&Faults::none());
    let (state, recovered) = world.recover_on(&run).await.unwrap();
    assert_eq!((recovered.finished.len(), recovered.left_to_plan.len()), (1, 0));
    assert!(state.services.is_empty() && world.cloud.things().is_empty());
}

#[tokio::test]
async fn a_call_without_a_tape_is_left_to_the_plan() {
    let world = World::new();
    world.store.append(&sample::begin(1, LINEAGE, 0)).await.unwrap();
    world.store.append(&sample::intent(sample::call(1, "db", 0))).await.unwrap();
    let run = world.run(&Faults::none());
    let (state, recovered) = world.recover_on(&run).await.unwrap();
    assert_eq!(recovered.left_to_plan, [sample::call(1, "db", 0)]);
    assert_eq!(state.services[&sample::service("db")].progress, Progress::Partial);
    assert!(world.open().await.is_empty());
}

#[tokio::test]
async fn what_only_this_machine_stands_in_the_way_of_stays_open() {
    let wanted = [wants("db", 1)];
    let mut world = World::new();
    killed_after(&world, "checkpoint db", &wanted).await;
    let vault = std::mem::replace(&mut world.vault, Arc::new(MemoryVault::default()));
    let run = world.run(&Faults::none());
    let failure = world.recover_on(&run).await.unwrap_err();
    assert_eq!(failure.code, "SS0511");
    assert!(failure.hints.iter().any(|hint| hint.contains("ss vault set thing.token")));
    assert_eq!(world.open().await.len(), 1);

    let locked = world.run(&Faults::at(0, Fault::VaultLocked));
    assert_eq!(world.recover_on(&locked).await.unwrap_err().code, "SS0501");
    let full = world.run(&Faults::at(0, Fault::DiskFull));
    assert_eq!(world.recover_on(&full).await.unwrap_err().code, "SS0405");
    let stopped = world.run(&Faults::none());
    stopped.stop.stop();
    assert_eq!(world.recover_on(&stopped).await.unwrap_err().code, "SS0330");
    assert_eq!(world.open().await.len(), 1, "one call, however often it was tried");

    world.vault = vault;
    deploys(&world, &wanted, "").await;
    is_converged(&world, &wanted, 1, "").await;
    assert_eq!(world.cloud.asked("createThing"), 1);
}

#[tokio::test]
async fn a_full_disk_is_called_a_full_disk() {
    let wanted = [wants("db", 1)];
    let dry = Faults::none();
    World::new().deploy_under(&dry, &wanted).await.unwrap().unwrap();
    let mut met = 0;
    for at in 0..dry.passed() {
        let world = World::new();
        let faults = Faults::at(at, Fault::DiskFull);
        let Ok(report) = world.deploy_under(&faults, &wanted).await.unwrap() else { continue };
        for failure in report.failures.values().chain(&report.trouble) {
            met += 1;
            assert!(["SS0405", "SS0502"].contains(&failure.code), "{at}: {failure:?}");
        }
        assert_ne!(report.receipt.status, DeployStatus::Interrupted, "nobody asked to stop");
    }
    assert!(met > 20, "{met}");
}

#[tokio::test]
async fn a_failure_that_the_replay_meets_is_closed_and_planned_again() {
    let world = World::new();
    let wanted = [wants("db", 1)];
    killed_after(&world, "checkpoint db", &wanted).await;
    world.cloud.answers("changeThing", Answer::Says(200, json!({})));
    world.cloud.answers("touchThing", Answer::Fails(ss_ports::EgressError::Lost("cut".into())));
    let run = world.run(&Faults::none());
    let (state, recovered) = world.recover_on(&run).await.unwrap();
    assert_eq!(recovered.left_to_plan.len(), 1);
    assert_eq!(state.services[&sample::service("db")].resource_id.as_deref(), Some("th-1"));
    deploys(&world, &wanted, "").await;
    is_converged(&world, &wanted, 1, "").await;
}

#[tokio::test]
async fn an_update_goes_on_as_an_update_with_the_record_it_was_given() {
    let kinds = async |world: &World| -> Vec<CallKind> {
        world.open().await.into_iter().map(|open| open.kind).collect()
    };
    let world = World::new();
    deploys(&world, &[wants("db", 1)], "").await;
    for at in 0.. {
        let ended = world.deploy_under(&Faults::at(at, Fault::Killed), &[wants("db", 2)]).await;
        assert!(ended.is_none());
        if world.cloud.asked("changeThing") == 2 {
            break;
        }
    }
    assert_eq!(kinds(&world).await, [CallKind::Update]);
    deploys(&world, &[wants("db", 2)], "").await;
    is_converged(&world, &[wants("db", 2)], 2, "").await;
    assert_eq!(world.cloud.asked("listThings"), 1, "only the create looked");
}

#[tokio::test]
async fn a_create_that_never_comes_to_a_checkpoint_is_found_by_its_mark() {
    // It makes the thing, and crashes with the answer at hand, again and again.
    let crashes = Things::honest().applying(|service, _, mut host| async move {
        ensure(&mut host, &service.mark).await?;
        Err(CallError::Trapped { message: "unreachable".to_owned(), stderr: String::new() })
    });
    let mut world = World::with(crashes);
    for _ in 0..3 {
        world.deploy(&[wants("db", 1)]).await;
    }
    assert_eq!(world.cloud.asked("createThing"), 1);
    world.offer("thing", Things::honest());
    deploys(&world, &[wants("db", 1)], "").await;
    is_converged(&world, &[wants("db", 1)], 1, "").await;
}

#[tokio::test]
async fn a_journal_with_several_open_calls_is_worked_off() {
    let mut world = World::new();
    world.settings.parallelism = 8;
    let ids = ["a", "b", "c", "d"];
    let wanted = ids.map(|id| wants(id, 1));
    let dry = Faults::none();
    World::new().deploy_under(&dry, &wanted).await.unwrap().unwrap();
    world.deploy_under(&Faults::at(dry.passed() / 2, Fault::DiskFull), &wanted).await;
    assert!(world.open().await.len() > 1, "{:?}", entries(&world.store.journal()));
    let run = world.run(&Faults::none());
    let (_, recovered) = world.recover_on(&run).await.unwrap();
    assert!(recovered.finished.len() > 1);
    deploys(&world, &wanted, "").await;
    is_converged(&world, &wanted, 1, "").await;
    assert_eq!(world.cloud.asked("createThing"), 4);
}

#[tokio::test]
async fn a_password_that_is_told_once_is_not_lost_with_the_run() {
    let once = Things::honest().applying(|_, _, mut host| async move {
        let reply = answer(&mut host, with(call("createThing", &[]), &json!({}))).await?;
        host.wait(1_000).await.map_err(CallError::Aborted)?;
        let mut output = reply.captured[0].clone();
        output.name = "URL".to_owned();
        Ok(outcome("th-1", &Value::Null, vec![output]))
    });
    let wanted = [wants("db", 1)];
    let dry = Faults::none();
    World::with(once.clone()).deploy_under(&dry, &wanted).await.unwrap().unwrap();
    let mut answered = 0;
    for at in 0..dry.passed() {
        let world = World::with(once.clone());
        world.deploy_under(&Faults::at(at, Fault::Killed), &wanted).await;
        let tape = world.store.read_tape(&sample::call(1, "db", 0)).await.unwrap();
        let kept = tape.unwrap_or_default().into_iter().any(
            |record| matches!(record, TapeRecord::Reply { secrets, .. } if !secrets.is_empty()),
        );
        if kept {
            answered += 1;
            deploys(&world, &wanted, "").await;
            let password = world.cloud.things()["th-1"].password.clone();
            assert_eq!(world.credential("db", "URL").await, Some(password), "{at}");
            assert_eq!(world.cloud.asked("createThing"), 1);
        }
    }
    assert!(answered > 5, "{answered}");
}
