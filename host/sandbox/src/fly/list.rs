//! Reading machines: one, many with filters and pages, versions, events.

use std::collections::HashMap;

use axum::extract::{Path, RawQuery, State as Extract};
use http::HeaderValue;
use serde_json::{Value, json};

use super::Fly;
use super::caller::Caller;
use super::config;
use super::fault::Fault;
use super::model::Machine;
use super::pages::Page;
use super::request::{Answer, flag, ok, query};
use super::view::{self, Show};

type Target = Path<(String, String)>;

/// `GET …/machines/{id}`; with `version`, the configuration of then.
pub async fn get(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    RawQuery(raw): RawQuery,
) -> Answer {
    let (now_ms, query) = (fly.now_ms(), query(raw.as_deref()));
    fly.read(|state| {
        let machine = caller.machine(state, now_ms, (&app, &id))?;
        let show = Show { lease: flag(&query, "include_leases"), ..Show::default() };
        let mut shown = machine.clone();
        if let Some(version) = query.get("version").filter(|version| **version != machine.version) {
            let old = machine.versions.iter().find(|(known, _)| known == version);
            let (version, config) = old.ok_or_else(Fault::no_machine)?;
            (shown.version, shown.config) = (version.clone(), config.clone());
        }
        Ok(ok(view::machine(state, &shown, now_ms, show)))
    })
}

/// `GET …/machines`
pub async fn list(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path(app): Path<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let (now_ms, query) = (fly.now_ms(), query(raw.as_deref()));
    let page = Page::read(&query, now_ms, 1_000)?;
    let show = Show {
        lease: flag(&query, "include_leases"),
        summary: flag(&query, "summary"),
        nonce: false,
    };
    let (views, cursor) = fly.read(|state| {
        let app = caller.app(state, now_ms, &app)?;
        if state.settings.empty_pages && page.is_first() {
            return Ok((Vec::new(), Some(page.start_cursor())));
        }
        let lag_ms = state.settings.list_lag_ms;
        let listed = |m: &&Machine| m.created_ms + lag_ms <= now_ms && fits(m, &query);
        let machines: Vec<&Machine> = state.machines_of(&app.id).filter(listed).collect();
        let (machines, cursor) = page.cut(machines, |machine| &machine.id);
        let show_one = |machine: &Machine| view::machine(state, machine, now_ms, show);
        Ok::<_, Fault>((machines.into_iter().map(show_one).collect::<Vec<Value>>(), cursor))
    })?;
    let mut response = ok(Value::Array(views));
    if let Some(cursor) = cursor.and_then(|cursor| HeaderValue::from_str(&cursor).ok()) {
        response.headers_mut().insert("fly-next-cursor", cursor);
    }
    Ok(response)
}

/// Whether `machine` passes every filter of the query.
pub fn fits(machine: &Machine, query: &HashMap<String, String>) -> bool {
    let given = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let state = machine.phase.name();
    let metadata = config::metadata(&machine.config);
    let mut filters =
        query.iter().filter_map(|(name, v)| Some((name.strip_prefix("metadata.")?, v)));
    (machine.destroyed_ms.is_none() || flag(query, "include_deleted"))
        && given("region").is_none_or(|region| *region == machine.region)
        && given("state")
            .is_none_or(|states| states.split(',').any(|wanted| wanted.trim() == state))
        && filters.all(|(key, value)| metadata.get(key) == Some(value))
}

/// `GET …/versions`, newest first.
pub async fn versions(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
) -> Answer {
    fly.read(|state| {
        let machine = caller.machine(state, fly.now_ms(), (&app, &id))?;
        let view =
            |version: &str, config: &Value| json!({ "version": version, "user_config": config });
        let mut views = vec![view(&machine.version, &machine.config)];
        views.extend(machine.versions.iter().rev().map(|(version, config)| view(version, config)));
        Ok(ok(Value::Array(views)))
    })
}

/// `GET …/events?limit=`, newest first, 50 at most.
pub async fn events(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Target,
    RawQuery(raw): RawQuery,
) -> Answer {
    let limit = match query(raw.as_deref()).get("limit") {
        None => 20,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=50).contains(limit))
            .ok_or_else(|| Fault::invalid("limit must be between 1 and 50"))?,
    };
    fly.read(|state| {
        let machine = caller.machine(state, fly.now_ms(), (&app, &id))?;
        Ok(ok(view::events(machine, limit, state.settings.quirks)))
    })
}
