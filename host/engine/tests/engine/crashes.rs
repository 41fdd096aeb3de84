//! Killed, cut off or with a full disk at any point: the next run finishes the job, once, and forgets nothing.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use ss_core::plan::Desired;
use ss_core::record::DeployStatus;
use ss_core::state::mark;
use ss_engine::{Failure, Report};

use crate::faults::{Fault, Faults};
use crate::things::Things;
use crate::world::{LINEAGE, World, taking, wants, wants_of};

type Ended = Option<Result<Report, Failure>>;

const FAULTS: [Fault; 5] =
    [Fault::Killed, Fault::KilledLate, Fault::DiskFull, Fault::DiskFullOnce, Fault::Offline];

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
pub async fn is_converged(world: &World, desired: &[Desired], size: u32, context: &str) {
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

/// Deploys, and everything is done.
pub async fn deploys(world: &World, desired: &[Desired], context: &str) {
    let report = world.deploy(desired).await;
    assert_eq!(report.receipt.status, DeployStatus::Completed, "{context}: {:?}", report.failures);
    assert_eq!(report.trouble, None, "{context}");
}

#[tokio::test]
async fn a_rollback_survives_everything() {
    let (first, second) = ([wants("db", 1)], [wants("db", 2)]);
    let worlds = everywhere(
        async || {
            let world = World::new();
            deploys(&world, &first, "v1").await;
            deploys(&world, &second, "v2").await;
            world
        },
        async |world, faults| world.roll_back_under(faults, 1).await,
        async |world, context| {
            assert_eq!(world.cloud.things()["th-1"].size, 2, "{context}: nothing real is touched");
            deploys(world, &first, context).await;
            is_converged(world, &first, 1, context).await;
        },
    )
    .await;
    assert!(worlds > 16, "{worlds}");
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
