//! Metadata of a machine: whole, merged, or key by key. A change does not touch the process.

use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Fly;
use super::caller::Caller;
use super::config;
use super::fault::Fault;
use super::lifecycle::no_key;
use super::model::Machine;
use super::request::{Answer, object, ok};

type Target = Path<(String, String)>;
type Key = Path<(String, String, String)>;

fn changed(machine: &mut Machine, now_ms: i64, change: impl FnOnce(&mut Map<String, Value>)) {
    if !machine.config["metadata"].is_object() {
        machine.config["metadata"] = json!({});
    }
    if let Some(metadata) = machine.config["metadata"].as_object_mut() {
        change(metadata);
    }
    machine.updated_ms = now_ms;
}

/// `GET …/metadata`
pub async fn all(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): Target) -> Answer {
    fly.read(|state| {
        let machine = caller.machine(state, fly.now_ms(), (&app, &id))?;
        Ok(ok(json!(config::metadata(&machine.config))))
    })
}

/// `PATCH …/metadata`, and `PUT`, its older name: merges; null and `""` remove.
pub async fn merge(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.updateMetadataRequest")?;
    let patch = match &body["metadata"] {
        Value::Object(patch) => patch.clone(),
        Value::Null => Map::new(),
        _ => return Err(Fault::invalid("metadata must be an object")),
    };
    if patch.values().any(|value| !value.is_string() && !value.is_null()) {
        return Err(Fault::invalid("metadata values must be strings"));
    }
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let machine = caller.machine_mut(state, now_ms, (&app, &id))?;
        if body["machine_version"].as_str().is_some_and(|wanted| wanted != machine.version) {
            let text = "machine version does not match";
            return Err(Fault::precondition(text));
        }
        changed(machine, now_ms, |metadata| {
            for (key, value) in patch {
                match value.as_str() {
                    None | Some("") => metadata.remove(&key),
                    Some(_) => metadata.insert(key, value),
                };
            }
        });
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET …/metadata/{key}`
pub async fn get(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id, key)): Key) -> Answer {
    fly.read(|state| {
        let machine = caller.machine(state, fly.now_ms(), (&app, &id))?;
        let value = config::metadata(&machine.config).remove(&key).ok_or_else(|| no_key(&key))?;
        Ok(ok(json!({ "value": value })))
    })
}

/// `POST …/metadata/{key}`
pub async fn set(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id, key)): Key,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.upsertMetadataKeyRequest")?;
    let value = body["value"].as_str().ok_or_else(|| Fault::invalid("value must be a string"))?;
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let machine = caller.machine_mut(state, now_ms, (&app, &id))?;
        changed(machine, now_ms, |metadata| {
            metadata.insert(key, json!(value));
        });
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE …/metadata/{key}`: 204 whether it was there or not.
pub async fn remove(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id, key)): Key,
) -> Answer {
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let machine = caller.machine_mut(state, now_ms, (&app, &id))?;
        changed(machine, now_ms, |metadata| {
            metadata.remove(&key);
        });
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
