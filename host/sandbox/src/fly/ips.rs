//! Address assignments. The addresses are made up; only whether an app has a public one matters here.

use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Fly;
use super::caller::{Caller, ORGS};
use super::fault::Fault;
use super::model::{Ip, State};
use super::request::{Answer, object, ok};
use crate::clock::rfc3339;

const KINDS: [&str; 7] =
    ["v4", "v6", "shared_v4", "private_v6", "egress_v4", "egress_v6", "egress_pair"];

/// Whether an address of this type makes `NAME.fly.dev` answer.
#[must_use]
pub fn is_public(kind: &str) -> bool {
    matches!(kind, "v4" | "v6" | "shared_v4")
}

fn view(ip: &Ip) -> Value {
    let mut view = json!({
        "ip": ip.ip,
        "region": ip.region,
        "shared": ip.kind == "shared_v4",
        "egress": ip.kind.starts_with("egress"),
        "created_at": rfc3339(ip.created_ms),
    });
    if let Some(network) = &ip.network {
        view["network"] = json!({ "name": network, "org_slug": ORGS[0].0 });
    }
    if let Some(name) = &ip.service_name {
        view["service_name"] = json!(name);
    }
    view
}

/// `GET …/ip_assignments`
pub async fn list(Extract(fly): Extract<Fly>, caller: Caller, Path(app): Path<String>) -> Answer {
    let now_ms = fly.now_ms();
    fly.read(|state| {
        let ips: Vec<Value> = caller.app(state, now_ms, &app)?.ips.iter().map(view).collect();
        Ok(ok(json!({ "ips": ips })))
    })
}

/// `POST …/ip_assignments {type}`: each call assigns another, except that an app has one shared.
pub async fn assign(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    body: Bytes,
) -> Answer {
    let body = object(&body, "main.assignIPRequest")?;
    let kind = body["type"].as_str().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(Fault::invalid(&format!("invalid ip type {kind:?}")));
    }
    let now_ms = fly.now_ms();
    let view = fly.change(|state| {
        let known = &caller.app(state, now_ms, &app)?.ips;
        if let Some(shared) = known.iter().find(|ip| kind == "shared_v4" && ip.kind == kind) {
            return Ok(view(shared));
        }
        let made = make(state, kind, &body, now_ms);
        let mut shown = view(&made[0]);
        if let [v4, v6] = made.as_slice() {
            shown["ip_pair"] = json!({ "v4": v4.ip, "v6": v6.ip });
        }
        caller.app_mut(state, now_ms, &app)?.ips.extend(made);
        Ok(shown)
    })?;
    Ok(ok(view))
}

fn make(state: &mut State, kind: &str, body: &Value, now_ms: i64) -> Vec<Ip> {
    let text =
        |field: &str| body[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let kinds = if kind == "egress_pair" { vec!["egress_v4", "egress_v6"] } else { vec![kind] };
    let mut one = |kind: &str| Ip {
        kind: kind.to_owned(),
        ip: address(kind, state.next_number()),
        region: text("region").unwrap_or_else(|| "global".to_owned()),
        network: text("network").filter(|_| kind == "private_v6"),
        service_name: text("service_name"),
        created_ms: now_ms,
    };
    kinds.into_iter().map(&mut one).collect()
}

fn address(kind: &str, number: u64) -> String {
    let (high, low) = (number / 250 % 250, number % 250 + 1);
    match kind {
        "shared_v4" => format!("66.241.{}.{low}", 124 + high % 2),
        "v4" => format!("137.66.{high}.{low}"),
        "egress_v4" => format!("169.155.{high}.{low}"),
        "private_v6" => format!("fdaa:0:18:0:1::{number:x}"),
        "egress_v6" => format!("2605:4c40:{high:x}:{low:x}::1"),
        _ => format!("2a09:8280:1::{high:x}:{low:x}"),
    }
}

/// `DELETE …/ip_assignments/{ip}`
pub async fn release(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, address)): Path<(String, String)>,
) -> Answer {
    let now_ms = fly.now_ms();
    fly.change(|state| {
        let ips = &mut caller.app_mut(state, now_ms, &app)?.ips;
        let place = ips.iter().position(|ip| ip.ip == address);
        let text = format!("not_found: ip address {address} not found");
        ips.remove(place.ok_or_else(|| Fault::not_found(&text))?);
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
