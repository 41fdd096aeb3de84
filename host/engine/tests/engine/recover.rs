//! Killed, cut off or with a full disk at any point: the next run finishes the job, once, and forgets nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use ss_core::plan::Desired;
use ss_core::record::{CallKind, DeployStatus};
use ss_core::state::{Progress, mark};
use ss_engine::{Failure, Report};
use ss_ports::{CallError, Event, StateStore, TapeRecord};
use ss_testkit::{MemoryVault, sample};

use crate::cloud::Answer;
use crate::faults::{Fault, Faults};
use crate::things::{self, Things, answer, call, ensure, outcome, with};
use crate::world::{LINEAGE, World, entries, taking, wants, wants_of};

type Ended = Option<Result<Report, Failure>>;

const FAULTS: [Fault; 4] = [Fault::Killed, Fault::KilledLate, Fault::DiskFull, Fault::Offline];

/// Acts in a prepared world once for every point and every kind of fault, then checks what a later run makes of it.
/// Gives the number of worlds.
async fn everywhere(
    prepared: impl AsyncFn() -> World,
    act: impl AsyncFn(&World, &Arc<Faults>) -> Ended,
    check: impl AsyncFn(&World, &str),
) -> usize {
    let dry = Faults::none();
    act(&prepared().await, &dry).await.expect("not killed").expect("the run begins");
    let points = dry.passed();
    for fault in FAULTS {
        for at in 0..points {
            let world = prepared().await;
            let faults = Faults::at(at, fault);
            let ended = act(&world, &faults).await;
            let is_kill = matches!(fault, Fault::Killed | Fault::KilledLate);
            assert_eq!(ended.is_none(), is_kill, "{fault:?} at {at}");
            check(&world, &format!("{fault:?} at {at}")).await;
        }
    }
    points * FAULTS.len()
}

/// The world is exactly what is wanted, and everybody knows it.
async fn is_converged(world: &World, desired: &[Desired], size: u32, context: &str) {
    let things = world.cloud.things();
    assert_eq!(things.len(), desired.len(), "{context}: {things:?}");
    for service in desired {
        let record = world.recorded(service.id.as_str()).await.expect(context);
        let mark = mark(LINEAGE, "prod", &service.id, record.generation);
        let (id, thing) = things.iter().find(|(_, thing)| thing.mark == mark).expect(context);
        assert_eq!(record.resource_id.as_ref(), Some(id), "{context}");
        assert_eq!(thing.size, size, "{context}");
        let password = utf8_percent_encode(&thing.password, NON_ALPHANUMERIC);
        let url = format!("thing://{password}@things");
        let credential = world.credential(service.id.as_str(), "URL").await;
        assert_eq!(credential, Some(url), "{context}");
    }
    let plan = world.plan(&world.state().await, desired).await;
    assert!(plan.is_empty(), "{context}: {:?}", plan.steps);
    world.is_settled().await;
    world.holds_no_secret(&["p@ss word", "p%40ss"]).await;
}

async fn deploys(world: &World, desired: &[Desired], context: &str) {
    let report = world.deploy(desired).await;
    assert_eq!(report.receipt.status, DeployStatus::Completed, "{context}: {:?}", report.failures);
    assert_eq!(report.trouble, None, "{context}");
}

#[tokio::test]
async fn a_create_survives_everything() {
    let wanted = [wants("db", 1), taking(wants("api", 1), "db"), wants("other", 1)];
    let worlds = everywhere(
        async || World::new(),
        async |world, faults| world.deploy_under(faults, &wanted).await,
        async |world, context| {
            deploys(world, &wanted, context).await;
            is_converged(world, &wanted, 1, context).await;
        },
    );
    assert!(worlds.await > 400, "each call has its points");
}

#[tokio::test]
async fn an_update_survives_everything() {
    let wanted = |size| [wants("db", size), taking(wants("api", size), "db")];
    let prepared = async || {
        let world = World::new();
        world.deploy(&wanted(1)).await;
        world
    };
    everywhere(
        prepared,
        async |world, faults| world.deploy_under(faults, &wanted(2)).await,
        async |world, context| {
            deploys(world, &wanted(2), context).await;
            is_converged(world, &wanted(2), 2, context).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_replace_survives_everything() {
    let wanted =
        |region: &str| [wants_of(&Things::honest(), "db", json!({"size": 1, "region": region}))];
    let prepared = async || {
        let world = World::new();
        world.deploy(&wanted("eu")).await;
        world
    };
    everywhere(
        prepared,
        async |world, faults| world.deploy_under(faults, &wanted("us")).await,
        async |world, context| {
            deploys(world, &wanted("us"), context).await;
            is_converged(world, &wanted("us"), 1, context).await;
            assert_eq!(world.recorded("db").await.unwrap().generation, 1, "{context}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_destroy_survives_everything() {
    let wanted = [wants("db", 1), taking(wants("api", 1), "db")];
    let prepared = async || {
        let world = World::new();
        world.deploy(&wanted).await;
        world
    };
    everywhere(
        prepared,
        async |world, faults| world.destroy_under(faults).await,
        async |world, context| {
            let report = world.destroy().await;
            assert_eq!(report.receipt.status, DeployStatus::Completed, "{context}");
            assert!(world.cloud.things().is_empty(), "{context}");
            assert_eq!(world.credential("db", "URL").await, None, "{context}");
            world.is_settled().await;
            // A new one must not be taken for the old.
            deploys(world, &wanted, context).await;
            is_converged(world, &wanted, 1, context).await;
            assert_eq!(world.recorded("db").await.unwrap().generation, 1, "{context}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_recovery_survives_everything() {
    let wanted = [wants("db", 1)];
    let dry = Faults::none();
    World::new().deploy_under(&dry, &wanted).await.unwrap().unwrap();
    let mut worlds = 0;
    for first in 0..dry.passed() {
        // Every third point, another third each time: neighbours tell the same story.
        for second in (first % 3..).step_by(3) {
            let world = World::new();
            let context = format!("killed at {first}, then at {second}");
            world.deploy_under(&Faults::at(first, Fault::Killed), &wanted).await;
            let again = world.deploy_under(&Faults::at(second, Fault::KilledLate), &wanted).await;
            worlds += 1;
            if again.is_some() {
                break;
            }
            deploys(&world, &wanted, &context).await;
            is_converged(&world, &wanted, 1, &context).await;
        }
    }
    assert!(worlds > 500, "{worlds}");
}

/// The point at which a run of `wanted` stands right before or after a line of the log.
async fn killed_after(world: &World, line: &str, wanted: &[Desired]) {
    for at in 0.. {
        let dry = World::new();
        let ended = dry.deploy_under(&Faults::at(at, Fault::Killed), wanted).await;
        assert!(ended.is_none(), "`{line}` never comes");
        if dry.log.lines().iter().any(|found| found == line) {
            world.deploy_under(&Faults::at(at, Fault::Killed), wanted).await;
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
    // Before the checkpoint what is known of the thing is on the tape alone.
    for line in ["tape changeThing durably", "checkpoint db", "send changeThing"] {
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
        assert_eq!(record.resource_id.as_deref(), Some("th-1"), "{line}");
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
    for line in ["tape changeThing durably", "checkpoint db"] {
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
        assert_eq!(record.resource_id.as_deref(), Some("th-1"), "{line}");
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
        if !world.open().await.is_empty() {
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
