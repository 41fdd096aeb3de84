//! Reads a machine's configuration; the document itself is kept as it was sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::model::StopOrder;
use crate::machine::probe::Probe;

/// One configured check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Name under which its result is reported.
    pub name: String,
    /// What to ask.
    pub probe: Probe,
    /// The port it names; `None` for the program's own.
    pub port: Option<u64>,
    /// Time between two looks.
    pub interval_ms: i64,
    /// Patience with one look.
    pub timeout_ms: i64,
    /// Time before the first look.
    pub grace_ms: i64,
    /// Whether the proxy heeds it.
    pub routing: bool,
}

/// When an ended process is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Always.
    Always,
    /// After a failure, at most so often.
    OnFailure(u32),
}

/// Checks `config` and fills in what Fly fills in.
///
/// # Errors
/// No image, or a guest that does not exist.
pub fn checked(config: &Value) -> Result<Value, Fault> {
    let Some(fields) = config.as_object() else {
        return Err(Fault::invalid("invalid config: config must be an object"));
    };
    if image(config).is_empty() {
        return Err(Fault::invalid("invalid config.image, cannot be blank"));
    }
    let mut filled = fields.clone();
    let guest = filled.entry("guest").or_insert(Value::Null);
    if guest.is_null() {
        *guest = json!({ "cpu_kind": "shared", "cpus": 1, "memory_mb": 256 });
    }
    check_guest(guest)?;
    filled.entry("init").or_insert_with(|| json!({}));
    let config = Value::Object(filled);
    for service in list(&config["services"]) {
        if !service["internal_port"].as_u64().is_some_and(|port| (1..=65_535).contains(&port)) {
            return Err(Fault::invalid(
                "invalid config.services.internal_port, must be in 1..65535",
            ));
        }
    }
    Ok(config)
}

fn check_guest(guest: &Value) -> Result<(), Fault> {
    let cpus = guest["cpus"].as_u64().unwrap_or(1);
    let (allowed, low, high, step): (&[u64], _, _, _) = match guest["cpu_kind"].as_str() {
        None | Some("" | "shared") => (&[1, 2, 4, 6, 8], 256, 2_048, 256),
        Some("performance") => (
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64, 128],
            2_048,
            8_192,
            1_024,
        ),
        Some(_) => {
            let text = "invalid config.guest.cpu_kind, must be one of shared, performance";
            return Err(Fault::unprocessable(text));
        }
    };
    if !allowed.contains(&cpus) {
        return Err(Fault::unprocessable(&format!(
            "invalid config.guest.cpus, {cpus} is not allowed"
        )));
    }
    let Some(memory) = guest["memory_mb"].as_u64() else { return Ok(()) };
    let text = if memory < low * cpus {
        format!("minimum required {} MiB", low * cpus)
    } else if memory > high * cpus {
        format!("maximum allowed {} MiB", high * cpus)
    } else if memory % step != 0 {
        format!("must be a multiple of {step} MiB")
    } else {
        return Ok(());
    };
    Err(Fault::unprocessable(&format!("invalid config.guest.memory_mb, {text}")))
}

/// The image's name.
#[must_use]
pub fn image(config: &Value) -> &str {
    config["image"].as_str().unwrap_or_default()
}

/// The port of the first service; `None` when there is no service.
#[must_use]
pub fn internal_port(config: &Value) -> Option<u64> {
    list(&config["services"]).first()?["internal_port"].as_u64()
}

/// `config.env` with scalars as text.
#[must_use]
pub fn env(config: &Value) -> BTreeMap<String, String> {
    let empty = Map::new();
    let env = config["env"].as_object().unwrap_or(&empty);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    env.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// `config.metadata` with the values that are text.
#[must_use]
pub fn metadata(config: &Value) -> BTreeMap<String, String> {
    let empty = Map::new();
    let metadata = config["metadata"].as_object().unwrap_or(&empty);
    metadata.iter().filter_map(|(name, v)| Some((name.clone(), v.as_str()?.to_owned()))).collect()
}

/// Ids of the volumes it mounts.
#[must_use]
pub fn volumes(config: &Value) -> Vec<String> {
    let mounts = list(&config["mounts"]).iter();
    mounts.filter_map(|mount| mount["volume"].as_str().map(str::to_owned)).collect()
}

/// The restart policy; on failure ten times when nothing is said.
#[must_use]
pub fn restart(config: &Value) -> Restart {
    let retries = config["restart"]["max_retries"].as_u64().unwrap_or(10);
    match config["restart"]["policy"].as_str() {
        Some("no") => Restart::No,
        Some("always") => Restart::Always,
        _ => Restart::OnFailure(u32::try_from(retries).unwrap_or(u32::MAX)),
    }
}

/// How its process is to be ended, with what a request says on top.
#[must_use]
pub fn stop_order(config: &Value, signal: Option<&str>, timeout: Option<&Value>) -> StopOrder {
    let default = StopOrder::default();
    let configured = &config["stop_config"];
    let signal = signal.or(configured["signal"].as_str()).filter(|signal| !signal.is_empty());
    let timeout = timeout.and_then(duration_ms).or_else(|| duration_ms(&configured["timeout"]));
    StopOrder {
        signal: signal.map_or(default.signal, str::to_owned),
        timeout_ms: timeout.unwrap_or(default.timeout_ms),
    }
}

/// Every check of the services, then those of `checks`.
#[must_use]
pub fn checks(config: &Value) -> Vec<Check> {
    let mut found = Vec::new();
    for service in list(&config["services"]) {
        for check in list(&service["checks"]) {
            let port = check["port"].as_u64().or_else(|| service["internal_port"].as_u64());
            let kind = check["type"].as_str().unwrap_or("tcp");
            let name = format!("servicecheck-{:02}-{kind}-{}", found.len(), port.unwrap_or(0));
            found.push(read_check(check, name, port, true));
        }
    }
    if let Some(named) = config["checks"].as_object() {
        let read = |(name, check): (&String, &Value)| {
            read_check(check, name.clone(), check["port"].as_u64(), false)
        };
        found.extend(named.iter().map(read));
    }
    found
}

fn read_check(check: &Value, name: String, port: Option<u64>, routing: bool) -> Check {
    let text = |field: &str, default: &str| check[field].as_str().unwrap_or(default).to_owned();
    let probe = match check["type"].as_str() {
        Some("http") => Probe::Http {
            method: text("method", "GET").to_ascii_uppercase(),
            path: text("path", "/"),
            headers: headers(&check["headers"]),
        },
        _ => Probe::Tcp,
    };
    let time = |field: &str, default| duration_ms(&check[field]).unwrap_or(default).max(0);
    let (interval_ms, timeout_ms) = (time("interval", 15_000).max(100), time("timeout", 10_000));
    Check { name, probe, port, interval_ms, timeout_ms, grace_ms: time("grace_period", 0), routing }
}

fn headers(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for header in list(value) {
        let name = header["name"].as_str().unwrap_or_default();
        for value in list(&header["values"]).iter().filter_map(Value::as_str) {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

/// `value` as a list; nothing and anything else is empty.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A duration as Go writes it (`"1m30s"`), or a number of nanoseconds.
#[must_use]
pub fn duration_ms(value: &Value) -> Option<i64> {
    if let Some(nanoseconds) = value.as_i64() {
        return Some(nanoseconds / 1_000_000);
    }
    let mut rest = value.as_str()?.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |end| digits + end);
        total += number * unit_ms(&rest[digits..unit_end])?;
        rest = &rest[unit_end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, which is what a duration wants"
    )]
    let total = total as i64;
    Some(total)
}

fn unit_ms(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-6,
        "us" | "µs" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3_600e3,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_text_or_nanoseconds() {
        let ms = |value: Value| duration_ms(&value);
        assert_eq!(ms(json!("15s")), Some(15_000));
        assert_eq!(ms(json!("1m30.5s")), Some(90_500));
        assert_eq!(ms(json!("250ms")), Some(250));
        assert_eq!(ms(json!(15_000_000_000_i64)), Some(15_000));
        assert_eq!(ms(json!("15")), None);
        assert_eq!(ms(json!(null)), None);
    }

    #[test]
    fn service_checks_are_numbered_and_map_checks_keep_their_name() {
        let config = json!({
            "services": [{ "internal_port": 8080, "checks": [{ "type": "http", "path": "/h" },
                { "type": "tcp", "port": 9 }] }],
            "checks": { "alive": { "type": "http", "port": 8080, "interval": "2s" } },
        });
        let checks = checks(&config);
        let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["servicecheck-00-http-8080", "servicecheck-01-tcp-9", "alive"]);
        assert!(checks[0].routing && !checks[2].routing);
        assert_eq!((checks[0].interval_ms, checks[2].interval_ms), (15_000, 2_000));
    }

    #[test]
    fn guests_are_those_fly_sells() {
        let check = |guest: Value| checked(&json!({ "image": "a", "guest": guest }));
        assert!(check(json!({ "cpu_kind": "shared", "cpus": 2, "memory_mb": 512 })).is_ok());
        let fault = check(json!({ "cpu_kind": "performance", "cpus": 2, "memory_mb": 512 }));
        let text = "invalid config.guest.memory_mb, minimum required 4096 MiB";
        assert_eq!(fault.unwrap_err().body["error"], text);
        assert!(check(json!({ "cpu_kind": "shared", "cpus": 3 })).is_err());
        assert!(check(json!({ "cpus": 1, "memory_mb": 300 })).is_err());
    }
}
