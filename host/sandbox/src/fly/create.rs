//! `POST /apps/{app}/machines`.

use axum::extract::{Path, State as Extract};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::fault::Fault;
use super::model::{Goal, Lease, Machine, Phase, State, StopOrder};
use super::platform::{NEAREST, is_region};
use super::request::{Answer, object, ok};
use super::settings::{Action, ShortageKind};
use super::view::{self, Show};
use super::{Fly, config, ids};

/// Makes a machine and, unless told otherwise, launches it.
pub async fn create(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.createMachineRequest")?;
    fly.read(|state| caller.app(state, fly.now_ms(), &app).map(|_| ()))?;
    let config = config::checked(&body["config"])?;
    check_image(&fly, &config)?;
    await_secrets(&fly, &caller, &app, &body).await?;
    let now_ms = fly.now_ms();
    let (id, lost) = fly.change(|state| {
        let machine = prepare(state, &caller, now_ms, &app, &body, config)?;
        let id = machine.id.clone();
        attach(state, &machine);
        state.machines.insert(id.clone(), machine);
        let lost = state.settings.lost_creates > 0;
        state.settings.lost_creates = state.settings.lost_creates.saturating_sub(1);
        Ok((id, lost))
    })?;
    fly.keep(&id);
    if lost {
        let text = "deadline_exceeded: context deadline exceeded";
        return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, text));
    }
    answer(&fly, &id, now_ms)
}

/// The machine as its creator or updater sees it: with the nonce if it is leased to them.
pub fn answer(fly: &Fly, id: &str, now_ms: i64) -> Answer {
    fly.read(|state| {
        let machine = state.machines.get(id).ok_or_else(Fault::no_machine)?;
        Ok(ok(view::machine(state, machine, now_ms, Show { nonce: true, ..Show::default() })))
    })
}

fn prepare(
    state: &mut State,
    caller: &Caller,
    now_ms: i64,
    app: &str,
    body: &Value,
    config: Value,
) -> Result<Machine, Fault> {
    let app = caller.app(state, now_ms, app)?.clone();
    let name = body["name"].as_str().filter(|name| !name.is_empty());
    let name = name.map_or_else(ids::machine_name, str::to_owned);
    let region = body["region"].as_str().filter(|r| !r.is_empty()).unwrap_or(NEAREST).to_owned();
    if !is_region(&region) {
        return Err(Fault::invalid(&format!("region {region} not found")));
    }
    check_room(state, &app.id, &name)?;
    check_volumes(state, &app.id, &region, &config)?;
    shortage(state, Action::Create, (&app.name, &region), &config)?;
    let skip_launch = body["skip_launch"] == true;
    let mut machine = Machine {
        id: ids::hex(14),
        app_id: app.id,
        app: app.name,
        name,
        region,
        phase: Phase::Created,
        goal: if skip_launch { Goal::Stop } else { Goal::Run },
        launch: 1,
        stop: StopOrder::default(),
        version: ids::ulid(now_ms),
        versions: Vec::new(),
        secrets: secret_values(&app.secrets, body),
        private_ip: format!("fdaa:{:x}:3ec2:a7b:{}:2", app.number, ids::hex(4)),
        created_ms: now_ms,
        updated_ms: now_ms,
        events: Vec::new(),
        checks: Vec::new(),
        cordoned: body["skip_service_registration"] == true,
        lease: lease_from_birth(body, caller, now_ms),
        port: 0,
        process: None,
        restarts: 0,
        destroyed_ms: None,
        config,
    };
    machine.note(now_ms, "launch", Phase::Created.name(), "user", None);
    Ok(machine)
}

/// The app's secrets as a machine created or updated now gets them.
pub fn secret_values(
    secrets: &std::collections::BTreeMap<String, super::model::Secret>,
    body: &Value,
) -> std::collections::BTreeMap<String, String> {
    if body["skip_secrets"] == true {
        return std::collections::BTreeMap::new();
    }
    secrets.iter().map(|(name, secret)| (name.clone(), secret.value.clone())).collect()
}

/// The lease that `lease_ttl` asks for.
pub fn lease_from_birth(body: &Value, caller: &Caller, now_ms: i64) -> Option<Lease> {
    let ttl = body["lease_ttl"].as_i64().filter(|ttl| *ttl > 0)?;
    Some(Lease {
        nonce: ids::hex(12),
        expires_ms: now_ms + ttl * 1000,
        owner: caller.user.clone(),
        description: String::new(),
    })
}

/// Refuses an image that nothing stands for, as Fly refuses one it cannot find.
pub fn check_image(fly: &Fly, config: &Value) -> Result<(), Fault> {
    let image = config::image(config);
    match fly.inner.images.find(image) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            let text =
                format!("failed to get manifest {image}: MANIFEST_UNKNOWN: manifest unknown");
            let mut fault = Fault::invalid(&text);
            fault.body["details"] =
                json!({ "sandbox": "sandbox.yaml has no entry for this image" });
            Err(fault)
        }
        Err(error) => Err(Fault::invalid(&format!("failed to get manifest {image}: {error}"))),
    }
}

/// Waits for the secrets version that `min_secrets_version` asks for.
pub async fn await_secrets(
    fly: &Fly,
    caller: &Caller,
    app: &str,
    body: &Value,
) -> Result<(), Fault> {
    let Some(wanted) = body["min_secrets_version"].as_u64() else { return Ok(()) };
    let deadline_ms = fly.now_ms() + fly.read(|state| state.settings.min_secrets_wait_ms);
    let mut changes = fly.inner.changed.subscribe();
    loop {
        let now_ms = fly.now_ms();
        let current =
            fly.read(|state| caller.app(state, now_ms, app).map(|app| app.secrets_version))?;
        if current >= wanted {
            return Ok(());
        }
        if now_ms >= deadline_ms {
            let text =
                format!("secrets version {wanted} not available, current version is {current}");
            return Err(Fault::precondition(&text));
        }
        tokio::select! {
            () = fly.inner.clock.sleep_until(deadline_ms) => {}
            _ = changes.changed() => {}
        }
    }
}

fn check_room(state: &State, app_id: &str, name: &str) -> Result<(), Fault> {
    let live: Vec<&Machine> =
        state.machines_of(app_id).filter(|machine| !machine.is_gone()).collect();
    if let Some(other) = live.iter().find(|machine| machine.name == name) {
        return Err(Fault::machine_name_in_use(&other.id, name));
    }
    match state.settings.machines_per_app_max {
        Some(most) if live.len() >= most => Err(Fault::unprocessable(&format!(
            "To create more than {most} machine per app please add a payment method."
        ))),
        _ => Ok(()),
    }
}

fn check_volumes(state: &State, app_id: &str, region: &str, config: &Value) -> Result<(), Fault> {
    for id in config::volumes(config) {
        let volume = state.volumes.get(&id).filter(|volume| volume.app_id == app_id);
        let volume =
            volume.ok_or_else(|| Fault::not_found(&format!("not_found: volume {id} not found")))?;
        if let Some(machine) = &volume.attached {
            let text = format!("volume {id} is already attached to machine {machine}");
            return Err(Fault::precondition(&text));
        }
        if volume.region != region {
            let text = format!("volume {id} is in region {}, not in {region}", volume.region);
            return Err(Fault::invalid(&text));
        }
    }
    Ok(())
}

fn attach(state: &mut State, machine: &Machine) {
    for id in config::volumes(&machine.config) {
        if let Some(volume) = state.volumes.get_mut(&id) {
            volume.attached = Some(machine.id.clone());
        }
    }
}

/// Refuses when the settings say there is no room.
pub fn shortage(
    state: &mut State,
    action: Action,
    (app, region): (&str, &str),
    config: &Value,
) -> Result<(), Fault> {
    let volumes = config::volumes(config);
    let found = state.settings.capacity.iter_mut().find(|rule| {
        rule.on == action
            && rule.times != Some(0)
            && rule.region.as_deref().is_none_or(|only| only == region)
            && rule.app.as_deref().is_none_or(|only| only == app)
            && (rule.kind != ShortageKind::VolumeHostFull || !volumes.is_empty())
    });
    let Some(rule) = found else { return Ok(()) };
    rule.times = rule.times.map(|times| times - 1);
    Err(match rule.kind {
        ShortageKind::NoCapacity => Fault::no_capacity(),
        ShortageKind::InsufficientCapacity => Fault::insufficient_capacity(),
        ShortageKind::HostFull => Fault::host_full(),
        ShortageKind::VolumeHostFull => Fault::volume_host_full(&volumes[0]),
    })
}
