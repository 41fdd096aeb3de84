//! Volumes: records that pin a machine to a region. They hold no data here.

use axum::extract::{Path, RawQuery, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::caller::Caller;
use super::fault::Fault;
use super::model::{State, Volume};
use super::pages::Page;
use super::platform::{NEAREST, is_region};
use super::request::{Answer, object, ok, query};
use super::{Fly, ids};
use crate::clock::rfc3339;

type One = Path<(String, String)>;

const SIZE_MAX_GB: u64 = 500;

fn view(volume: &Volume) -> Value {
    let mut view = json!({
        "id": volume.id,
        "name": volume.name,
        "state": "created",
        "region": volume.region,
        "zone": ids::sha256(&volume.id)[..4],
        "size_gb": volume.size_gb,
        "encrypted": volume.encrypted,
        "fstype": "ext4",
        "type": "local",
        "host_status": "ok",
        "snapshot_retention": volume.snapshot_retention,
        "auto_backup_enabled": volume.auto_backup,
        "created_at": rfc3339(volume.created_ms),
    });
    if let Some(machine) = &volume.attached {
        view["attached_machine_id"] = json!(machine);
    }
    view
}

fn find<'a>(
    state: &'a mut State,
    caller: &Caller,
    now_ms: i64,
    (app, id): (&str, &str),
) -> Result<&'a mut Volume, Fault> {
    let app_id = caller.app(state, now_ms, app)?.id.clone();
    let volume = state.volumes.get_mut(id).filter(|volume| volume.app_id == app_id);
    volume.ok_or_else(|| Fault::not_found(&format!("not_found: volume {id} not found")))
}

/// `GET …/volumes`
pub async fn list(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let now_ms = fly.now_ms();
    let page = Page::read(&query(raw.as_deref()), now_ms, 1_000)?;
    let (views, cursor) = fly.read(|state| {
        let app = caller.app(state, now_ms, &app)?;
        let volumes = state.volumes.values().filter(|volume| volume.app_id == app.id).collect();
        let (volumes, cursor) = page.cut(volumes, |volume: &&Volume| &volume.id);
        Ok::<_, Fault>((volumes.into_iter().map(view).collect::<Vec<Value>>(), cursor))
    })?;
    let mut response = ok(Value::Array(views));
    if let Some(cursor) = cursor.and_then(|cursor| HeaderValue::from_str(&cursor).ok()) {
        response.headers_mut().insert("fly-next-cursor", cursor);
    }
    Ok(response)
}

/// `POST …/volumes`
pub async fn create(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.createVolumeRequest")?;
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 30 || !name.bytes().all(allowed) {
        let text = "invalid volume name, lowercase letters, numbers and underscores, 30 at most";
        return Err(Fault::invalid(text));
    }
    let region = body["region"].as_str().unwrap_or(NEAREST).to_owned();
    if !is_region(&region) {
        return Err(Fault::invalid(&format!("region {region} not found")));
    }
    let size_gb = body["size_gb"].as_u64().unwrap_or(3);
    check_size(size_gb, 1)?;
    let now_ms = fly.now_ms();
    let volume = fly.change(|state| {
        let volume = Volume {
            id: format!("vol_{}", ids::hex(16)),
            app_id: caller.app(state, now_ms, &app)?.id.clone(),
            name,
            region,
            size_gb,
            encrypted: body["encrypted"] != false,
            snapshot_retention: body["snapshot_retention"].as_u64().unwrap_or(5),
            auto_backup: body["auto_backup_enabled"] != false,
            attached: None,
            created_ms: now_ms,
            snapshots: Vec::new(),
        };
        state.volumes.insert(volume.id.clone(), volume.clone());
        Ok(volume)
    })?;
    Ok(ok(view(&volume)))
}

fn check_size(size_gb: u64, least: u64) -> Result<(), Fault> {
    if (least..=SIZE_MAX_GB).contains(&size_gb) {
        return Ok(());
    }
    Err(Fault::invalid(&format!("size_gb must be between {least} and {SIZE_MAX_GB}")))
}

/// `GET …/volumes/{id}`
pub async fn get(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): One) -> Answer {
    fly.change(|state| Ok(ok(view(find(state, &caller, fly.now_ms(), (&app, &id))?))))
}

/// `PUT …/volumes/{id}`
pub async fn update(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): One,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.updateVolumeRequest")?;
    fly.change(|state| {
        let volume = find(state, &caller, fly.now_ms(), (&app, &id))?;
        if let Some(days) = body["snapshot_retention"].as_u64() {
            volume.snapshot_retention = days;
        }
        if let Some(enabled) = body["auto_backup_enabled"].as_bool() {
            volume.auto_backup = enabled;
        }
        Ok(ok(view(volume)))
    })
}

/// `PUT …/volumes/{id}/extend`: only ever larger.
pub async fn extend(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): One,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.extendVolumeRequest")?;
    let size_gb = body["size_gb"].as_u64().unwrap_or(0);
    fly.change(|state| {
        let volume = find(state, &caller, fly.now_ms(), (&app, &id))?;
        check_size(size_gb, volume.size_gb)?;
        volume.size_gb = size_gb;
        Ok(ok(json!({ "needs_restart": volume.attached.is_some(), "volume": view(volume) })))
    })
}

/// `DELETE …/volumes/{id}`
pub async fn delete(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): One) -> Answer {
    fly.change(|state| {
        let volume = find(state, &caller, fly.now_ms(), (&app, &id))?;
        if let Some(machine) = &volume.attached {
            return Err(Fault::precondition(&format!("volume is attached to machine {machine}")));
        }
        let mut view = view(volume);
        view["state"] = json!("destroyed");
        state.volumes.remove(&id);
        Ok(ok(view))
    })
}

/// `POST …/volumes/{id}/snapshots`
pub async fn snapshot(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): One) -> Answer {
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let volume = find(state, &caller, now_ms, (&app, &id))?;
        volume.snapshots.push((format!("vs_{}", ids::hex(16)), now_ms));
        Ok(StatusCode::OK.into_response())
    })
}

/// `GET …/volumes/{id}/snapshots`
pub async fn snapshots(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): One) -> Answer {
    fly.change(|state| {
        let volume = find(state, &caller, fly.now_ms(), (&app, &id))?;
        let one = |(id, at_ms): &(String, i64)| {
            json!({
                "id": id, "created_at": rfc3339(*at_ms), "status": "created", "size": 0,
                "digest": ids::sha256(id), "retention_days": volume.snapshot_retention,
                "volume_size": volume.size_gb << 30,
            })
        };
        Ok(ok(volume.snapshots.iter().map(one).collect()))
    })
}

/// `GET /orgs/{org}/volumes`
pub async fn of_org(Extract(fly): Extract<Fly>, caller: Caller, Path(org): Path<String>) -> Answer {
    caller.reaches_org()?;
    caller.org(&org)?;
    fly.read(|state| {
        let apps = state.apps.values().filter(|app| app.org == org);
        let views: Vec<Value> = apps
            .flat_map(|app| {
                let volumes = state.volumes.values().filter(|volume| volume.app_id == app.id);
                volumes.map(|volume| {
                    let mut view = view(volume);
                    view["app_name"] = json!(app.name);
                    view
                })
            })
            .collect();
        Ok(ok(json!({ "volumes": views })))
    })
}
