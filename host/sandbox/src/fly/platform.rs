//! What belongs to no app: regions, placements, tokens, all machines of an organisation.

use axum::extract::{Path, RawQuery, State as Extract};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Fly;
use super::caller::Caller;
use super::config;
use super::fault::Fault;
use super::list::fits;
use super::model::{App, Machine};
use super::request::{Answer, object, ok, query};
use super::settings::Action;
use crate::clock::rfc3339;

/// The region of a caller who names none.
pub const NEAREST: &str = "iad";

/// Code, name, part of the world, latitude, longitude.
const REGIONS: [(&str, &str, &str, f64, f64); 18] = [
    ("ams", "Amsterdam, Netherlands", "europe", 52.4, 4.9),
    ("arn", "Stockholm, Sweden", "europe", 59.7, 17.9),
    ("bom", "Mumbai, India", "asia_pacific", 19.1, 72.9),
    ("cdg", "Paris, France", "europe", 48.9, 2.3),
    ("dfw", "Dallas, Texas (US)", "north_america", 32.8, -96.8),
    ("ewr", "Secaucus, NJ (US)", "north_america", 40.8, -74.1),
    ("fra", "Frankfurt, Germany", "europe", 50.1, 8.7),
    ("gru", "Sao Paulo, Brazil", "south_america", -23.5, -46.6),
    ("iad", "Ashburn, Virginia (US)", "north_america", 39.0, -77.5),
    ("jnb", "Johannesburg, South Africa", "africa", -26.2, 28.0),
    ("lax", "Los Angeles, California (US)", "north_america", 34.1, -118.2),
    ("lhr", "London, United Kingdom", "europe", 51.5, -0.1),
    ("nrt", "Tokyo, Japan", "asia_pacific", 35.7, 139.7),
    ("ord", "Chicago, Illinois (US)", "north_america", 41.9, -87.6),
    ("sin", "Singapore, Singapore", "asia_pacific", 1.4, 103.8),
    ("sjc", "San Jose, California (US)", "north_america", 37.3, -121.9),
    ("syd", "Sydney, Australia", "asia_pacific", -33.9, 151.2),
    ("yyz", "Toronto, Canada", "north_america", 43.7, -79.4),
];

/// Whether Fly has a region of this code.
#[must_use]
pub fn is_region(code: &str) -> bool {
    REGIONS.iter().any(|region| region.0 == code)
}

/// `GET /platform/regions`
pub async fn regions(_caller: Caller) -> Answer {
    let rows = REGIONS.map(|(code, name, part, latitude, longitude)| {
        json!({
            "code": code, "name": name, "geo_region": part, "latitude": latitude,
            "longitude": longitude, "gateway_available": true, "mpg_available": false,
            "requires_paid_plan": false, "deprecated": false,
        })
    });
    Ok(ok(json!({ "nearest": NEAREST, "regions": rows })))
}

/// `POST /platform/placements`: a dry run for room; a region short of it is left out.
pub async fn placements(Extract(fly): Extract<Fly>, caller: Caller, body: Bytes) -> Answer {
    let body = object(&body, "main.getPlacementsRequest")?;
    caller.org(body["org_slug"].as_str().unwrap_or_default())?;
    if !body["compute"].is_null() {
        config::checked(&json!({ "image": "none", "guest": body["compute"] }))?;
    }
    let asked: Vec<&str> = body["region"].as_str().unwrap_or(NEAREST).split(',').collect();
    let any = asked.contains(&"any");
    let wanted = |code: &str| any || asked.contains(&code);
    let count = body["count"].as_u64().filter(|count| *count > 0).unwrap_or(10);
    let short = |code: &str| {
        fly.read(|state| {
            state.settings.capacity.iter().any(|rule| {
                rule.on == Action::Create
                    && rule.app.is_none()
                    && rule.times != Some(0)
                    && rule.region.as_deref().is_none_or(|only| only == code)
            })
        })
    };
    let codes = REGIONS.iter().map(|region| region.0).filter(|code| wanted(code) && !short(code));
    let rows: Vec<Value> =
        codes.map(|code| json!({ "region": code, "count": count, "concurrency": 1 })).collect();
    if rows.is_empty() {
        return Err(Fault::insufficient_capacity());
    }
    Ok(ok(json!({ "regions": rows })))
}

/// `GET /tokens/current`
pub async fn current_token(Extract(fly): Extract<Fly>, caller: Caller) -> Answer {
    fly.read(|state| Ok(ok(caller.tokens(state))))
}

/// `GET /orgs/{org}/machines`: an overview in one page.
pub async fn org_machines(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(org): Path<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    caller.reaches_org()?;
    caller.org(&org)?;
    let query = query(raw.as_deref());
    fly.read(|state| {
        let apps: Vec<&App> = state.apps.values().filter(|app| app.org == org).collect();
        let machines = apps.iter().flat_map(|app| state.machines_of(&app.id));
        let views: Vec<Value> = machines.filter(|m| fits(m, &query)).map(overview).collect();
        Ok(ok(json!({ "machines": views, "error_regions": [] })))
    })
}

fn overview(machine: &Machine) -> Value {
    json!({
        "app_name": machine.app,
        "id": machine.id,
        "name": machine.name,
        "state": machine.phase.name(),
        "region": machine.region,
        "version": machine.version,
        "private_ip": machine.private_ip,
        "created_at": rfc3339(machine.created_ms),
        "updated_at": rfc3339(machine.updated_ms),
        "config": {
            "image": config::image(&machine.config),
            "guest": machine.config["guest"],
            "metadata": config::metadata(&machine.config),
        },
    })
}
