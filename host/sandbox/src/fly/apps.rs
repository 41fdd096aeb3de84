//! Apps: create, look, list, delete, and tokens for one of them.

use axum::Json;
use axum::extract::{Path, RawQuery, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::caller::{Caller, ORGS};
use super::fault::Fault;
use super::model::{App, Goal, Phase, State, StopOrder};
use super::pages::Page;
use super::request::{Answer, object, ok, query};
use super::{Fly, ids};

/// `POST /apps`
pub async fn create(Extract(fly): Extract<Fly>, caller: Caller, body: Bytes) -> Answer {
    caller.reaches_org()?;
    let body = object(&body, "main.createAppRequest")?;
    let now_ms = fly.now_ms();
    let org = body["org_slug"].as_str().unwrap_or_default();
    if org.is_empty() {
        return Err(Fault::unprocessable("Validation failed: Organization must exist"));
    }
    caller.org(org)?;
    let app = fly.change(|state| insert(state, now_ms, org, &body))?;
    let view = json!({ "id": app.id, "created_at": app.created_ms });
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

fn insert(state: &mut State, now_ms: i64, org: &str, body: &Value) -> Result<App, Fault> {
    let text = |field: &str| body[field].as_str().filter(|text| !text.is_empty());
    let (name, key) = (text("name").or_else(|| text("app_name")), text("idempotency_key"));
    if let Some(app) = key.and_then(|key| made_with(state, key)) {
        if name.is_some_and(|name| name != app.name) {
            let text = "Validation failed: Idempotency key was used for an app of another name";
            return Err(Fault::unprocessable(text));
        }
        return Ok(app.clone());
    }
    let name = name.map_or_else(ids::machine_name, str::to_owned);
    check_name(state, &name)?;
    let owned = state.apps.values().filter(|app| app.org == org).count();
    if state.settings.apps_max.is_some_and(|most| owned >= most) {
        return Err(Fault::unprocessable(
            "Validation failed: Organization has reached its app limit",
        ));
    }
    let app = App {
        id: ids::hex(16),
        number: state.next_number(),
        name: name.clone(),
        org: org.to_owned(),
        network: text("network").unwrap_or("default").to_owned(),
        created_ms: now_ms,
        idempotency_key: key.map(str::to_owned),
        ..App::default()
    };
    state.apps.insert(name, app.clone());
    Ok(app)
}

fn made_with<'a>(state: &'a State, key: &str) -> Option<&'a App> {
    state.apps.values().find(|app| app.idempotency_key.as_deref() == Some(key))
}

fn check_name(state: &State, name: &str) -> Result<(), Fault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.len() >= 63
        || !name.bytes().all(allowed)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        return Err(Fault::name_shape());
    }
    if state.apps.contains_key(name) || state.settings.names_taken.iter().any(|taken| taken == name)
    {
        return Err(Fault::name_taken());
    }
    Ok(())
}

/// `GET /apps/{app}`
pub async fn get(Extract(fly): Extract<Fly>, caller: Caller, Path(app): Path<String>) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| Ok(ok(view(state, caller.app(state, now_ms, &app)?))))
}

fn view(state: &State, app: &App) -> Value {
    let machines = state.machines_of(&app.id).filter(|m| m.phase != Phase::Destroyed).count();
    let volumes = state.volumes.values().filter(|volume| volume.app_id == app.id).count();
    let org = ORGS.iter().position(|(slug, _)| *slug == app.org).unwrap_or(0);
    json!({
        "id": app.id,
        "internal_numeric_id": app.number,
        "name": app.name,
        "machine_count": machines,
        "volume_count": volumes,
        "network": app.network,
        "network_cidr": format!("fdaa:{:x}::/48", app.number),
        "status": if machines == 0 { "pending" } else { "deployed" },
        "organization": {
            "name": ORGS[org].1, "slug": app.org, "internal_numeric_id": org + 1,
        },
    })
}

/// `GET /apps?org_slug=`
pub async fn list(Extract(fly): Extract<Fly>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let (now_ms, query) = (fly.now_ms(), query(raw.as_deref()));
    let org = query.get("org_slug").filter(|org| !org.is_empty());
    let org = org.ok_or_else(|| Fault::invalid("org_slug is required"))?;
    caller.org(org)?;
    let page = Page::read(&query, now_ms, 5_000)?;
    fly.read(|state| {
        let lag_ms = state.settings.list_lag_ms;
        let listed = |app: &&App| app.org == *org && app.created_ms + lag_ms <= now_ms;
        let apps: Vec<&App> = state.apps.values().filter(listed).collect();
        let total = apps.len();
        let (apps, cursor) = page.cut(apps, |app| &app.name);
        let apps: Vec<Value> = apps.into_iter().map(|app| view(state, app)).collect();
        let mut answer = json!({ "apps": apps, "total_apps": total });
        if let Some(cursor) = cursor {
            answer["next_cursor"] = json!(cursor);
        }
        Ok(ok(answer))
    })
}

/// `DELETE /apps/{app}`: machines, addresses, secrets and volumes go with it.
pub async fn delete(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer {
    let now_ms = fly.now_ms();
    let ids = fly.change(|state| {
        let found = caller.app(state, now_ms, &name);
        let app_id = match found {
            Ok(app) => app.id.clone(),
            Err(fault) if fault == Fault::no_app() => return Err(Fault::no_app_to_delete(&name)),
            Err(fault) => return Err(fault),
        };
        state.apps.remove(&name);
        state.volumes.retain(|_, volume| volume.app_id != app_id);
        Ok(doom_machines(state, &app_id, now_ms))
    })?;
    ids.iter().for_each(|id| fly.wake(id));
    Ok(StatusCode::ACCEPTED.into_response())
}

fn doom_machines(state: &mut State, app_id: &str, now_ms: i64) -> Vec<String> {
    state
        .machines
        .retain(|_, machine| machine.app_id != app_id || machine.phase != Phase::Destroyed);
    let mut ids = Vec::new();
    for machine in state.machines.values_mut().filter(|machine| machine.app_id == app_id) {
        machine.goal = Goal::Destroy;
        machine.stop = StopOrder { signal: "SIGKILL".to_owned(), timeout_ms: 0 };
        machine.enter(now_ms, Phase::Destroying, "destroy", "user");
        ids.push(machine.id.clone());
    }
    ids
}

/// `POST /apps/{app}/deploy_token`
pub async fn deploy_token(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
) -> Answer {
    let now_ms = fly.now_ms();
    let token = format!("fm2_deploy_{}", ids::hex(24));
    fly.change(|state| {
        caller.app_mut(state, now_ms, &app)?.deploy_tokens.push(token.clone());
        Ok(())
    })?;
    Ok(ok(json!({ "token": format!("FlyV1 {token}") })))
}
