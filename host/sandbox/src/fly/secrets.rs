//! App secrets: set, remove, compare by digest. A value never leaves except into a process.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::fault::Fault;
use super::model::{App, Secret};
use super::request::{Answer, object, ok};
use super::{Fly, ids};
use crate::clock::rfc3339;

fn view(app: &App, name: &str, secret: &Secret) -> Value {
    // Bound to the app, so that digests of two apps say nothing about each other.
    let digest = ids::sha256(&format!("{}/{}", app.id, secret.value))[..16].to_owned();
    json!({
        "name": name,
        "digest": digest,
        "created_at": rfc3339(secret.created_ms),
        "updated_at": rfc3339(secret.updated_ms),
    })
}

fn views(app: &App) -> Vec<Value> {
    app.secrets.iter().map(|(name, secret)| view(app, name, secret)).collect()
}

fn check_name(name: &str) -> Result<(), Fault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit_first = name.starts_with(|first: char| first.is_ascii_digit());
    if name.is_empty() || digit_first || !name.bytes().all(allowed) {
        return Err(Fault::invalid(&format!("invalid secret name {name:?}")));
    }
    Ok(())
}

/// Applies `values` (null removes) as one new version.
fn apply(app: &mut App, now_ms: i64, values: &Map<String, Value>) -> Result<(), Fault> {
    for (name, value) in values {
        check_name(name)?;
        if !value.is_string() && !value.is_null() {
            return Err(Fault::invalid(&format!("secret {name} must be a string")));
        }
    }
    for (name, value) in values {
        let Some(value) = value.as_str() else {
            app.secrets.remove(name);
            continue;
        };
        let created_ms = app.secrets.get(name).map_or(now_ms, |known| known.created_ms);
        let secret = Secret { value: value.to_owned(), created_ms, updated_ms: now_ms };
        app.secrets.insert(name.clone(), secret);
    }
    app.secrets_version += 1;
    Ok(())
}

/// `GET …/secrets`
pub async fn list(Extract(fly): Extract<Fly>, caller: Caller, Path(app): Path<String>) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| Ok(ok(json!({ "secrets": views(caller.app(state, now_ms, &app)?) }))))
}

/// `POST …/secrets {values}`
pub async fn set_many(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.appSecretsUpdateRequest")?;
    let values = body["values"].as_object();
    let values = values.ok_or_else(|| Fault::invalid("values must be an object"))?;
    let now_ms = fly.now_ms();
    let view = fly.change(|state| {
        let app = caller.app_mut(state, now_ms, &app)?;
        apply(app, now_ms, values)?;
        let version = app.secrets_version;
        Ok(json!({ "secrets": views(app), "version": version, "Version": version }))
    })?;
    Ok(ok(view))
}

fn absent(name: &str) -> Fault {
    Fault::not_found(&format!("not_found: secret {name} not found"))
}

/// `GET …/secrets/{name}`
pub async fn get(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, name)): Path<(String, String)>,
) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| {
        let app = caller.app(state, now_ms, &app)?;
        let secret = app.secrets.get(&name).ok_or_else(|| absent(&name))?;
        Ok(ok(view(app, &name, secret)))
    })
}

/// `POST …/secrets/{name} {value}`
pub async fn set(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, name)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.setAppSecretRequest")?;
    if !body["value"].is_string() {
        return Err(Fault::invalid("value must be a string"));
    }
    let values = Map::from_iter([(name.clone(), body["value"].clone())]);
    let now_ms = fly.now_ms();
    let view = fly.change(|state| {
        let app = caller.app_mut(state, now_ms, &app)?;
        apply(app, now_ms, &values)?;
        let mut view = view(app, &name, &app.secrets[&name]);
        (view["version"], view["Version"]) =
            (json!(app.secrets_version), json!(app.secrets_version));
        Ok(view)
    })?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// `DELETE …/secrets/{name}`
pub async fn remove(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, name)): Path<(String, String)>,
) -> Answer {
    let now_ms = fly.now_ms();
    let version = fly.change(|state| {
        let app = caller.app_mut(state, now_ms, &app)?;
        app.secrets.remove(&name).ok_or_else(|| absent(&name))?;
        app.secrets_version += 1;
        Ok(app.secrets_version)
    })?;
    Ok(ok(json!({ "version": version, "Version": version })))
}
