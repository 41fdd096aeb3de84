//! `GET /api/v1/apps/{app}/logs`: the newest lines first time, then what came since the token.

use axum::extract::{Path, RawQuery, State as Extract};
use serde_json::{Value, json};

use super::Fly;
use super::caller::Caller;
use super::model::Machine;
use super::request::{Answer, ok, query, rfc3339_ms};
use crate::machine::log::Line;

const PAGE: usize = 100;

/// Answers a page of lines of one or all machines of the app.
pub async fn read(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let query = query(raw.as_deref());
    let given = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let machines: Vec<(String, String)> = fly.read(|state| {
        let app = caller.app(state, fly.now_ms(), &app)?;
        let wanted = |m: &&Machine| {
            given("instance").is_none_or(|id| *id == m.id)
                && given("region").is_none_or(|region| *region == m.region)
        };
        let machines = state.machines_of(&app.id).filter(wanted);
        Ok::<_, super::fault::Fault>(machines.map(|m| (m.id.clone(), m.region.clone())).collect())
    })?;
    let after = given("next_token").and_then(|token| token.parse().ok());
    let mut lines: Vec<(Line, String, String)> = Vec::new();
    for (id, region) in machines {
        let newer = fly.inner.logs.read(&id, after.unwrap_or(0));
        lines.extend(newer.into_iter().map(|line| (line, id.clone(), region.clone())));
    }
    lines.sort_by_key(|(line, ..)| line.id);
    match after {
        Some(_) => lines.truncate(PAGE),
        None => drop(lines.drain(..lines.len().saturating_sub(PAGE))),
    }
    let token = lines.last().map_or(after.unwrap_or(0), |(line, ..)| line.id);
    let entries: Vec<Value> =
        lines.iter().map(|(line, id, region)| entry(line, id, region)).collect();
    Ok(ok(json!({ "data": entries, "meta": { "next_token": token.to_string() } })))
}

fn entry(line: &Line, instance: &str, region: &str) -> Value {
    json!({
        "id": line.id.to_string(),
        "type": "log",
        "attributes": {
            "timestamp": rfc3339_ms(line.id / 1_000_000),
            "level": line.level,
            "message": line.message,
            "instance": instance,
            "region": region,
            "meta": {
                "instance": instance, "region": region, "event": { "provider": line.source },
            },
        },
    })
}
