//! Start, stop, suspend, restart, signal, cordon, delete: each sets a goal and says so.

use std::collections::HashMap;

use axum::extract::{Path, RawQuery, State as Extract};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Fly;
use super::caller::Caller;
use super::config;
use super::fault::Fault;
use super::model::{Goal, Machine, Phase, StopOrder};
use super::request::{Answer, flag, object, ok, ok_true, query};
use crate::machine::process::{signal_group, signal_named};

type Target = Path<(String, String)>;

/// Changes one machine and wakes its keeper.
fn steer<R>(
    fly: &Fly,
    caller: &Caller,
    (app, id): (&str, &str),
    change: impl FnOnce(&mut Machine, i64) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let now_ms = fly.now_ms();
    let answer =
        fly.change(|state| change(caller.machine_mut(state, now_ms, (app, id))?, now_ms))?;
    fly.wake(id);
    Ok(answer)
}

/// `POST …/start`
pub async fn start(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): Target) -> Answer {
    let previous = steer(&fly, &caller, (&app, &id), |machine, now_ms| {
        let previous = machine.phase;
        match previous {
            Phase::Started => return Ok(previous),
            Phase::Replacing => return Err(Fault::replacing()),
            Phase::Starting | Phase::Restarting => return Err(Fault::still_starting()),
            Phase::Created if machine.goal == Goal::Run => return Err(Fault::still_starting()),
            Phase::Stopping | Phase::Suspending => {
                return Err(Fault::precondition("machine still attempting to stop"));
            }
            // Resumed as it was, if its process is still there.
            Phase::Suspended => {}
            _ => machine.launch += 1,
        }
        machine.goal = Goal::Run;
        machine.restarts = 0;
        machine.enter(now_ms, Phase::Starting, "start", "user");
        Ok(previous)
    })?;
    Ok(ok(json!({ "previous_state": previous.name(), "migrated": false, "new_host": "" })))
}

/// `POST …/stop`
pub async fn stop(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.stopRequest")?;
    steer(&fly, &caller, (&app, &id), |machine, now_ms| {
        let order = ordered(machine, body["signal"].as_str(), Some(&body["timeout"]))?;
        if machine.goal == Goal::Stop {
            return Ok(());
        }
        machine.stop = order;
        machine.goal = Goal::Stop;
        machine.enter(now_ms, Phase::Stopping, "stop", "user");
        Ok(())
    })?;
    Ok(ok_true())
}

fn ordered(
    machine: &Machine,
    signal: Option<&str>,
    timeout: Option<&Value>,
) -> Result<StopOrder, Fault> {
    let order = config::stop_order(&machine.config, signal, timeout);
    if signal_named(&order.signal).is_none() {
        return Err(Fault::invalid(&format!("invalid signal {}", order.signal)));
    }
    Ok(order)
}

/// `POST …/restart`
pub async fn restart(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    RawQuery(raw): RawQuery,
) -> Answer {
    let query = query(raw.as_deref());
    let timeout = query.get("timeout").map(|text| as_duration(text));
    steer(&fly, &caller, (&app, &id), |machine, now_ms| {
        let mut order =
            ordered(machine, query.get("signal").map(String::as_str), timeout.as_ref())?;
        if machine.phase == Phase::Replacing {
            return Err(Fault::replacing());
        }
        if flag(&query, "force_stop") {
            order = StopOrder { signal: "SIGKILL".to_owned(), timeout_ms: 0 };
        }
        machine.stop = order;
        machine.goal = Goal::Run;
        machine.launch += 1;
        machine.restarts = 0;
        machine.enter(now_ms, Phase::Restarting, "restart", "user");
        Ok(())
    })?;
    Ok(ok_true())
}

/// A bare number in a query means seconds.
fn as_duration(text: &str) -> Value {
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds { json!(format!("{text}s")) } else { json!(text) }
}

/// `POST …/suspend`
pub async fn suspend(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
) -> Answer {
    steer(&fly, &caller, (&app, &id), |machine, now_ms| {
        if machine.phase == Phase::Suspended {
            return Ok(());
        }
        must_be_started(machine)?;
        machine.goal = Goal::Suspend;
        machine.enter(now_ms, Phase::Suspending, "suspend", "user");
        Ok(())
    })?;
    Ok(ok_true())
}

/// Refuses what needs a running program.
pub fn must_be_started(machine: &Machine) -> Result<(), Fault> {
    if machine.phase == Phase::Started {
        return Ok(());
    }
    Err(Fault::precondition(&format!("machine not started, currently {}", machine.phase.name())))
}

/// `POST …/signal`
pub async fn signal(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.signalRequest")?;
    let name = body["signal"].as_str().unwrap_or_default();
    let Some(signal) = signal_named(name) else {
        return Err(Fault::invalid(&format!("invalid signal {name:?}")));
    };
    let process = steer(&fly, &caller, (&app, &id), |machine, _| {
        must_be_started(machine)?;
        Ok(machine.process.clone())
    })?;
    // Its keeper has not reaped it, so the group is still this machine's.
    if let Some(stamp) = process {
        signal_group(&stamp, signal);
    }
    Ok(ok_true())
}

/// `POST …/cordon`
pub async fn cordon(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): Target) -> Answer {
    set_cordoned(&fly, &caller, (&app, &id), true)
}

/// `POST …/uncordon`
pub async fn uncordon(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
) -> Answer {
    set_cordoned(&fly, &caller, (&app, &id), false)
}

fn set_cordoned(fly: &Fly, caller: &Caller, target: (&str, &str), cordoned: bool) -> Answer {
    steer(fly, caller, target, |machine, now_ms| {
        machine.cordoned = cordoned;
        machine.updated_ms = now_ms;
        Ok(())
    })?;
    Ok(ok_true())
}

/// `DELETE …/machines/{id}`
pub async fn delete(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    RawQuery(raw): RawQuery,
) -> Answer {
    let query: HashMap<String, String> = query(raw.as_deref());
    let force = flag(&query, "force") || flag(&query, "kill");
    steer(&fly, &caller, (&app, &id), |machine, now_ms| {
        let idle = [Phase::Stopped, Phase::Suspended, Phase::Failed, Phase::Created];
        if !force && !idle.contains(&machine.phase) {
            return Err(Fault::not_destroyable());
        }
        machine.goal = Goal::Destroy;
        machine.stop = StopOrder { signal: "SIGKILL".to_owned(), timeout_ms: 0 };
        machine.enter(now_ms, Phase::Destroying, "destroy", "user");
        Ok(())
    })?;
    Ok(ok_true())
}

/// 404 of a key that is not there.
pub fn no_key(key: &str) -> Fault {
    Fault::new(StatusCode::NOT_FOUND, &format!("not_found: metadata key {key} not found"))
}
