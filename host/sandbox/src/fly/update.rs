//! `POST /apps/{app}/machines/{id}`: the whole configuration is replaced.

use axum::extract::{Path, State as Extract};
use bytes::Bytes;
use serde_json::Value;

use super::caller::Caller;
use super::create::{
    answer, await_secrets, check_image, lease_from_birth, secret_values, shortage,
};
use super::fault::Fault;
use super::model::{Goal, Machine, Phase, State};
use super::request::{Answer, object};
use super::settings::Action;
use super::{Fly, config};

/// Replaces the configuration; a running machine is replaced, a stopped one stays stopped.
pub async fn update(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.updateMachineRequest")?;
    fly.read(|state| caller.machine(state, fly.now_ms(), (&app, &id)).map(|_| ()))?;
    let config = config::checked(&body["config"])?;
    check_image(&fly, &config)?;
    await_secrets(&fly, &caller, &app, &body).await?;
    let now_ms = fly.now_ms();
    fly.change(|state| apply(state, &caller, now_ms, (&app, &id), &body, config))?;
    fly.wake(&id);
    answer(&fly, &id, now_ms)
}

fn apply(
    state: &mut State,
    caller: &Caller,
    now_ms: i64,
    (app, id): (&str, &str),
    body: &Value,
    config: Value,
) -> Result<(), Fault> {
    let machine = caller.machine_mut(state, now_ms, (app, id))?;
    check_unmoved(machine, body, &config)?;
    let region = machine.region.clone();
    shortage(state, Action::Update, (app, &region), &config)?;
    let secrets = secret_values(&caller.app(state, now_ms, app)?.secrets, body);
    let machine = caller.machine_mut(state, now_ms, (app, id))?;
    machine.stop = config::stop_order(&machine.config, None, None);
    machine.reconfigure(now_ms, config);
    machine.secrets = secrets;
    machine.restarts = 0;
    machine.lease = lease_from_birth(body, caller, now_ms).or(machine.lease.take());
    if body["skip_service_registration"] == true {
        machine.cordoned = true;
    }
    relaunch(machine, now_ms, body["skip_launch"] == true);
    Ok(())
}

/// What an update may not touch, and the guard against racing writers.
fn check_unmoved(machine: &Machine, body: &Value, config: &Value) -> Result<(), Fault> {
    let differs = |field: &str, present: &str| {
        body[field].as_str().is_some_and(|wanted| !wanted.is_empty() && wanted != present)
    };
    if differs("current_version", &machine.version) {
        return Err(Fault::concurrent_update());
    }
    if differs("name", &machine.name) {
        return Err(Fault::invalid("machine name cannot be changed"));
    }
    if differs("region", &machine.region) {
        return Err(Fault::invalid("machine region cannot be changed"));
    }
    if config::volumes(config) != config::volumes(&machine.config) {
        return Err(Fault::invalid("mounted volumes cannot be changed, replace the machine"));
    }
    Ok(())
}

fn relaunch(machine: &mut Machine, now_ms: i64, skip_launch: bool) {
    match machine.goal {
        Goal::Run if skip_launch => {
            machine.goal = Goal::Stop;
            machine.enter(now_ms, Phase::Stopping, "update", "user");
        }
        Goal::Run => {
            machine.launch += 1;
            machine.enter(now_ms, Phase::Replacing, "update", "user");
        }
        Goal::Suspend => {
            // The snapshot belongs to the old configuration and cannot be resumed.
            machine.goal = Goal::Stop;
            machine.enter(now_ms, Phase::Stopping, "update", "user");
        }
        Goal::Stop | Goal::Destroy => {
            machine.note(now_ms, "update", machine.phase.name(), "user", None);
        }
    }
}
