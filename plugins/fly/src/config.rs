//! The configuration of a machine: built from the target, merged into what is there, compared.
//!
//! Pure. Values of secrets never come here; they reach machines as secrets of the app.

use std::collections::BTreeMap;

use starsystem_provisioner::serde_json::{Map, Value};
use starsystem_provisioner::{Failure, json};

use crate::machine::Machine;
use crate::normal;
use crate::target::Target;

/// Metadata key of the service's mark: which machines are ours.
pub const MARK: &str = "ss_mark";
/// Metadata key of the digest of the configuration and the secrets a machine was given.
const CONFIG: &str = "ss_config";

/// Keys of a configuration that are wholly ours: replaced, or removed when not wanted.
const OWN: [&str; 6] = ["image", "env", "services", "checks", "restart", "stop_config"];
/// Objects in which only these keys are ours; the rest stays as it is.
const SHARED: [(&str, &[&str]); 3] = [
    ("guest", &["cpu_kind", "cpus", "memory_mb"]),
    ("init", &["cmd", "entrypoint"]),
    ("metadata", &[MARK, "ss_service", CONFIG]),
];

/// The configuration every machine of the service should have. `secrets` are the digests of the app's secrets
/// that the machine needs: when one changes, so does the configuration.
pub fn wanted(
    target: &Target,
    service: &str,
    mark: &str,
    secrets: &BTreeMap<String, String>,
) -> Result<Value, Failure> {
    let mut config = json!({
        "image": target.image,
        "env": target.env(),
        "guest": target.guest()?,
        "restart": restart(target),
        "metadata": {MARK: mark, "ss_service": service},
    });
    let init = present([("cmd", json!(target.command)), ("entrypoint", json!(target.entrypoint))]);
    let stop =
        present([("signal", json!(target.kill_signal)), ("timeout", json!(target.kill_timeout))]);
    let parts = [
        ("services", if target.public { json!([service_of(target)]) } else { Value::Null }),
        ("checks", if target.public { Value::Null } else { named_checks(target) }),
        ("init", init),
        ("stop_config", stop),
    ];
    for (key, part) in parts {
        if !part.is_null() {
            config[key] = part;
        }
    }
    config["metadata"][CONFIG] = Value::String(digest(&config, secrets));
    Ok(config)
}

/// Whether a machine already has this configuration, changes from elsewhere included.
pub fn is_current(machine: &Machine, wanted: &Value) -> bool {
    normal::covers(wanted, &machine.config)
}

/// A machine's whole configuration with ours put in: an update drops whatever it leaves out, such as a volume
/// that someone mounted.
pub fn merged(machine: &Machine, wanted: &Value) -> Value {
    let mut config = machine.config.as_object().cloned().unwrap_or_default();
    for key in OWN {
        put(&mut config, key, wanted.get(key));
    }
    for (key, ours) in SHARED {
        let mut shared = config.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        for inner in ours {
            put(&mut shared, inner, wanted[key].get(inner));
        }
        let shared = (!shared.is_empty()).then_some(Value::Object(shared));
        put(&mut config, key, shared.as_ref());
    }
    Value::Object(config)
}

fn put(fields: &mut Map<String, Value>, key: &str, value: Option<&Value>) {
    match value {
        Some(value) => fields.insert(key.to_owned(), value.clone()),
        None => fields.remove(key),
    };
}

fn restart(target: &Target) -> Value {
    if target.restart == "on-failure" {
        json!({"policy": target.restart, "max_retries": target.max_retries})
    } else {
        json!({"policy": target.restart})
    }
}

fn service_of(target: &Target) -> Value {
    let mut service = json!({
        "protocol": "tcp",
        "internal_port": target.port,
        "ports": [
            {"port": 80, "handlers": ["http"], "force_https": true},
            {"port": 443, "handlers": ["tls", "http"]},
        ],
        "autostop": target.autostop,
        "autostart": target.autostart,
        "min_machines_running": target.min_machines_running,
    });
    if let Some(check) = check(target) {
        service["checks"] = json!([check]);
    }
    if let Some(concurrency) = &target.concurrency {
        service["concurrency"] = concurrency.clone();
    }
    service
}

fn named_checks(target: &Target) -> Value {
    check(target).map_or(Value::Null, |check| json!({"health": check}))
}

fn check(target: &Target) -> Option<Value> {
    let path = target.health_check_path.as_ref()?;
    Some(json!({
        "type": "http",
        "method": "GET",
        "path": path,
        "port": target.port,
        "interval": target.health_check_interval,
        "timeout": target.health_check_timeout,
        "grace_period": target.health_check_grace_period,
    }))
}

/// An object of the fields that are not null, or null.
fn present<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    let fields: Map<_, _> = fields.map(|(key, value)| (key.to_owned(), value)).collect();
    if fields.is_empty() { Value::Null } else { Value::Object(fields) }
}

/// Says in 16 hex digits what a machine was given, so that a field that was removed is noticed, and a secret
/// that changed. FNV-1a: it tells apart, it guards nothing.
fn digest(config: &Value, secrets: &BTreeMap<String, String>) -> String {
    let text = json!([config, secrets]).to_string();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine;
    use crate::target::tests::target;

    fn config(fields: Value) -> Value {
        wanted(&target(fields), "api", "ss-test", &BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_public_service_has_ports_and_its_check() {
        let config = config(json!({"port": 3000, "health_check_path": "/health", "env": {"A": 1}}));
        assert_eq!(config["env"], json!({"A": "1"}));
        assert_eq!(config["guest"], json!({"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}));
        let service = &config["services"][0];
        assert_eq!(
            (&service["internal_port"], &service["autostop"]),
            (&json!(3000), &json!("off"))
        );
        assert_eq!(service["ports"][0]["force_https"], true);
        assert_eq!(service["ports"][1]["handlers"], json!(["tls", "http"]));
        let check = json!({"type": "http", "method": "GET", "path": "/health", "port": 3000,
            "interval": "10s", "timeout": "5s", "grace_period": "5s"});
        assert_eq!(service["checks"], json!([check]));
        assert_eq!(config["metadata"]["ss_mark"], "ss-test");
        assert_eq!(config["restart"], json!({"policy": "on-failure", "max_retries": 10}));
        assert!(config.get("init").is_none() && config.get("stop_config").is_none());
    }

    #[test]
    fn a_private_service_is_only_watched() {
        let config =
            config(json!({"public": false, "health_check_path": "/up", "restart": "always",
            "command": ["serve"], "kill_timeout": "30s"}));
        assert!(config.get("services").is_none());
        assert_eq!(config["checks"]["health"]["path"], "/up");
        assert_eq!(config["init"], json!({"cmd": ["serve"]}));
        assert_eq!(config["stop_config"], json!({"timeout": "30s"}));
        assert_eq!(config["restart"], json!({"policy": "always"}));
    }

    #[test]
    fn a_machine_that_was_just_made_is_current() {
        let wanted =
            config(json!({"health_check_path": "/health", "concurrency": {"type": "requests"}}));
        let mut actual = wanted.clone();
        actual["services"][0]["autostop"] = json!(false);
        actual["services"][0]["force_instance_key"] = Value::Null;
        actual["init"] = json!({"cmd": null, "tty": false});
        assert!(is_current(&machine(json!({"config": actual})), &wanted));
    }

    #[test]
    fn a_removed_field_and_a_changed_secret_are_differences() {
        let before = config(json!({"concurrency": {"type": "requests"}, "kill_timeout": "30s"}));
        let running = machine(json!({"config": before}));
        assert!(!is_current(&running, &config(json!({"concurrency": {"type": "requests"}}))));
        assert!(!is_current(&running, &config(json!({"kill_timeout": "30s"}))));
        let secrets = BTreeMap::from([("DATABASE_URL".to_owned(), "d2".to_owned())]);
        let fields = json!({"concurrency": {"type": "requests"}, "kill_timeout": "30s"});
        let after = wanted(&target(fields), "api", "ss-test", &secrets).unwrap();
        assert!(!is_current(&running, &after));
    }

    #[test]
    fn an_update_keeps_what_is_not_ours_and_drops_what_was() {
        let mut before = config(json!({"command": ["old"], "kill_timeout": "30s"}));
        before["mounts"] = json!([{"volume": "vol_1", "path": "/data"}]);
        before["metadata"]["team"] = json!("blue");
        before["init"]["tty"] = json!(true);
        let wanted = config(json!({"image": "ghcr.io/me/api:v2"}));
        let merged = merged(&machine(json!({"config": before})), &wanted);
        assert_eq!(merged["image"], "ghcr.io/me/api:v2");
        assert_eq!(merged["mounts"][0]["volume"], "vol_1");
        assert_eq!(merged["metadata"]["team"], "blue");
        assert_eq!(merged["init"], json!({"tty": true}));
        assert!(merged.get("stop_config").is_none());
        assert!(is_current(&machine(json!({"config": merged})), &wanted));
    }
}
