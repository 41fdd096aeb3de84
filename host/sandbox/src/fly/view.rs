//! How machines, versions and events look from outside, with or without Fly's quirks.

use serde_json::{Map, Value, json};

use super::config;
use super::ids;
use super::model::{CheckResult, Event, Lease, Machine, State};
use super::request::rfc3339_ms;
use crate::clock::rfc3339;

/// What to show beyond the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Show {
    /// The lease without its nonce.
    pub lease: bool,
    /// The nonce, for the one who just got it.
    pub nonce: bool,
    /// Leave out config, checks, events and the host.
    pub summary: bool,
}

/// One machine.
#[must_use]
pub fn machine(state: &State, machine: &Machine, now_ms: i64, show: Show) -> Value {
    let mut view = json!({
        "id": machine.id,
        "name": machine.name,
        "state": machine.phase.name(),
        "region": machine.region,
        "version": machine.version,
        "instance_id": machine.version,
        "image_ref": image_ref(config::image(&machine.config)),
        "private_ip": machine.private_ip,
        "created_at": rfc3339(machine.created_ms),
        "updated_at": rfc3339(machine.updated_ms),
        "cordoned": machine.cordoned,
    });
    if let Some(lease) = machine.lease_at(now_ms) {
        if show.lease {
            view["lease"] = stripped(lease);
        }
        if show.nonce {
            view["nonce"] = json!(lease.nonce);
        }
    }
    if !show.summary {
        add_details(state, machine, &mut view);
    }
    view
}

fn add_details(state: &State, machine: &Machine, view: &mut Value) {
    let quirks = state.settings.quirks;
    let config = if quirks { quirky(&machine.config) } else { machine.config.clone() };
    let unreachable = state.is_unreachable(machine);
    view["host_status"] = json!(if unreachable { "unreachable" } else { "ok" });
    view[if unreachable { "incomplete_config" } else { "config" }] = config;
    view["events"] = events(machine, usize::MAX, quirks);
    if !machine.checks.is_empty() {
        view["checks"] = machine.checks.iter().map(check).collect();
    } else if !quirks {
        view["checks"] = json!([]);
    }
}

fn stripped(lease: &Lease) -> Value {
    let expires = lease.expires_ms / 1000;
    json!({ "owner": lease.owner, "description": lease.description, "expires_at": expires })
}

fn check(result: &CheckResult) -> Value {
    json!({
        "name": result.name,
        "status": if result.passing { "passing" } else { "critical" },
        "output": result.output,
        "updated_at": rfc3339_ms(result.updated_ms),
    })
}

/// The newest `most` events, newest first.
#[must_use]
pub fn events(machine: &Machine, most: usize, quirks: bool) -> Value {
    machine.events.iter().rev().take(most).map(|each| event(each, quirks)).collect()
}

fn event(event: &Event, quirks: bool) -> Value {
    let mut view = json!({
        "id": event.id,
        "type": event.kind,
        "status": event.status,
        "source": event.source,
        "timestamp": event.at_ms,
    });
    match &event.request {
        Some(request) => view["request"] = request.clone(),
        None if quirks => view["request"] = Value::Null,
        None => {}
    }
    view
}

/// The configuration as the real API hands it back: unset is null or empty, autostop is a bool.
fn quirky(config: &Value) -> Value {
    let mut view = config.as_object().cloned().unwrap_or_default();
    view.entry("env").or_insert(Value::Null);
    view.entry("metadata").or_insert(Value::Null);
    if view.get("init").and_then(Value::as_object).is_none_or(Map::is_empty) {
        let init = json!({ "exec": null, "entrypoint": null, "cmd": null, "tty": false });
        view.insert("init".to_owned(), init);
    }
    view.entry("restart").or_insert_with(|| json!({ "policy": "" }));
    let services = view.get_mut("services").and_then(Value::as_array_mut);
    for service in services.into_iter().flatten() {
        match service["autostop"].as_str() {
            Some("off") => service["autostop"] = json!(false),
            Some("stop") => service["autostop"] = json!(true),
            _ => {}
        }
    }
    Value::Object(view)
}

/// Splits an image's name into Fly's parts; the digest is invented when the name has none.
#[must_use]
pub fn image_ref(image: &str) -> Value {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let (registry, rest) = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("registry-1.docker.io", name),
    };
    let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
    let official = registry == "registry-1.docker.io" && !repository.contains('/');
    let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
    let made_up = format!("sha256:{}", ids::sha256(name));
    let digest = if digest.is_empty() { made_up } else { digest.to_owned() };
    json!({ "registry": registry, "repository": repository, "tag": tag, "digest": digest, "labels": {} })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_are_split_as_fly_does() {
        let parts = image_ref("ghcr.io/me/api:v2");
        assert_eq!(
            (&parts["registry"], &parts["repository"], &parts["tag"]),
            (&json!("ghcr.io"), &json!("me/api"), &json!("v2"))
        );
        assert_eq!(image_ref("ubuntu")["repository"], "library/ubuntu");
        assert_eq!(image_ref("a/b@sha256:12")["digest"], "sha256:12");
        assert_eq!(image_ref("a")["digest"], image_ref("a")["digest"]);
    }
}
