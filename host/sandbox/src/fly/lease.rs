//! Leases: one holder at a time, by nonce, until a time. Answers in the lease endpoints' own wrapper.

use axum::Json;
use axum::extract::{Path, RawQuery, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::fault::Fault;
use super::model::{Lease, Machine};
use super::request::{Answer, object, ok, query};
use super::{Fly, ids};

type Target = Path<(String, String)>;

const TTL_DEFAULT_S: i64 = 120;
const TTL_MAX_S: i64 = 30 * 24 * 3600;

fn success(machine: &Machine, lease: &Lease) -> Value {
    json!({
        "status": "success",
        "data": {
            "nonce": lease.nonce,
            "expires_at": lease.expires_ms / 1000,
            "owner": lease.owner,
            "description": lease.description,
            "version": machine.version,
        },
    })
}

fn none() -> Fault {
    Fault::lease(StatusCode::NOT_FOUND, "lease not found", "not_found")
}

/// `GET …/lease`
pub async fn get(Extract(fly): Extract<Fly>, caller: Caller, Path((app, id)): Target) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| {
        let machine = caller.machine(state, now_ms, (&app, &id))?;
        let lease = machine.lease_at(now_ms).ok_or_else(none)?;
        Ok(ok(success(machine, lease)))
    })
}

/// `POST …/lease`: acquires, or refreshes when the present nonce comes with it.
pub async fn acquire(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    RawQuery(raw): RawQuery,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.createLeaseRequest")?;
    let asked = query(raw.as_deref()).get("ttl").and_then(|ttl| ttl.parse().ok());
    let ttl = body["ttl"].as_i64().or(asked).unwrap_or(TTL_DEFAULT_S);
    if !(1..=TTL_MAX_S).contains(&ttl) {
        return Err(Fault::lease(StatusCode::BAD_REQUEST, "invalid ttl", "invalid"));
    }
    let now_ms = fly.now_ms();
    let view = fly.change(|state| {
        caller.machine(state, now_ms, (&app, &id))?;
        let machine = state.machines.get_mut(&id).filter(|machine| !machine.is_gone());
        let machine = machine.ok_or_else(Fault::no_machine)?;
        caller.holds(machine, now_ms, true)?;
        let description = body["description"].as_str();
        let lease = match machine.lease_at(now_ms).cloned() {
            Some(held) => Lease {
                expires_ms: now_ms + ttl * 1000,
                description: description.map_or(held.description, str::to_owned),
                ..held
            },
            None => Lease {
                nonce: ids::hex(12),
                expires_ms: now_ms + ttl * 1000,
                owner: caller.user.clone(),
                description: description.unwrap_or_default().to_owned(),
            },
        };
        let view = success(machine, &lease);
        machine.lease = Some(lease);
        Ok(view)
    })?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// `DELETE …/lease`
pub async fn release(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
) -> Answer {
    let now_ms = fly.now_ms();
    fly.change(|state| {
        caller.machine(state, now_ms, (&app, &id))?;
        let machine = state.machines.get_mut(&id).ok_or_else(Fault::no_machine)?;
        if machine.lease_at(now_ms).is_none() || caller.nonce().is_none() {
            return Err(none());
        }
        caller.holds(machine, now_ms, true)?;
        machine.lease = None;
        Ok(())
    })?;
    Ok(ok(json!({ "status": "success", "data": { "ok": true } })))
}
