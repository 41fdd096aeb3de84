//! The user's `target` block, and the checks that its schema cannot express.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use starsystem_provisioner::Failure;
use starsystem_provisioner::serde_json::Value;

use crate::duration;

/// What the user wants; the fields are described in `manifest.json`, their defaults stand there too.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(
    missing_docs,
    reason = "each field is described in the manifest, the one place users read"
)]
pub struct Target {
    pub app: String,
    pub org: String,
    pub region: String,
    pub image: String,
    pub count: usize,
    pub public: bool,
    pub port: u16,
    pub env: BTreeMap<String, Value>,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub health_check_path: Option<String>,
    pub health_check_interval: String,
    pub health_check_timeout: String,
    pub health_check_grace_period: String,
    pub wait_timeout: String,
    pub cpu_kind: String,
    pub cpus: u32,
    pub memory_mb: Option<u32>,
    pub autostop: String,
    pub autostart: bool,
    pub min_machines_running: u32,
    pub concurrency: Option<Value>,
    pub restart: String,
    pub max_retries: u32,
    pub kill_signal: Option<String>,
    pub kill_timeout: Option<String>,
}

/// The size of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// `shared` or `performance`.
    pub cpu_kind: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory_mb: u32,
}

impl Target {
    /// The size that the fields stand for, or why there is no such size.
    pub fn guest(&self) -> Result<Guest, Failure> {
        let performance = self.cpu_kind == "performance";
        let (allowed, low, high, step): (&[u32], u32, u32, u32) = if performance {
            (
                &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64, 128],
                2048,
                8192,
                1024,
            )
        } else {
            (&[1, 2, 4, 6, 8], 256, 2048, 256)
        };
        let (kind, cpus) = (&self.cpu_kind, self.cpus);
        if !allowed.contains(&cpus) {
            return Err(Failure::invalid(format!(
                "Fly has no machines with {cpus} {kind} CPUs: set `cpus` to one of {}",
                allowed.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
            )));
        }
        let (low, high) = (low * cpus, high * cpus);
        let memory_mb = self.memory_mb.unwrap_or(low);
        if !(low..=high).contains(&memory_mb) || !memory_mb.is_multiple_of(step) {
            return Err(Failure::invalid(format!(
                "{cpus} {kind} CPUs cannot have {memory_mb} MB: set `memory_mb` to {low}–{high} in steps of {step}"
            )));
        }
        Ok(Guest { cpu_kind: kind.clone(), cpus, memory_mb })
    }

    /// `env` with every value as text.
    pub fn env(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.env.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// How long to wait for one machine.
    pub fn patience_ms(&self) -> u64 {
        duration::millis_of(&self.wait_timeout).unwrap_or(300_000)
    }

    /// Where the world reaches the app.
    pub fn url(&self) -> Option<String> {
        self.public.then(|| format!("https://{}.fly.dev", self.app))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use starsystem_provisioner::{Failure, json, testing};

    use super::*;
    use crate::Fly;

    /// A target with the manifest's defaults.
    pub(crate) fn target(fields: Value) -> Target {
        let mut whole = json!({"app": "my-app", "region": "iad", "image": "ghcr.io/me/api:v1"});
        for (name, value) in fields.as_object().expect("fields are an object") {
            whole[name] = value.clone();
        }
        testing::service::<Fly>("api", whole).target
    }

    fn guest(fields: Value) -> Result<(u32, u32), Failure> {
        target(fields).guest().map(|guest| (guest.cpus, guest.memory_mb))
    }

    #[test]
    fn memory_defaults_to_the_least_the_cpus_allow() {
        assert_eq!(guest(json!({})), Ok((1, 256)));
        assert_eq!(guest(json!({"cpus": 4})), Ok((4, 1024)));
        assert_eq!(guest(json!({"cpu_kind": "performance", "cpus": 2})), Ok((2, 4096)));
    }

    #[test]
    fn sizes_that_fly_does_not_sell_are_refused_with_those_it_does() {
        let message = |fields| guest(fields).unwrap_err().message;
        assert_eq!(
            message(json!({"cpus": 3})),
            "Fly has no machines with 3 shared CPUs: set `cpus` to one of 1, 2, 4, 6, 8"
        );
        assert_eq!(
            message(json!({"cpu_kind": "performance", "cpus": 2, "memory_mb": 512})),
            "2 performance CPUs cannot have 512 MB: set `memory_mb` to 4096–16384 in steps of 1024"
        );
        assert!(message(json!({"memory_mb": 2304})).contains("256–2048"));
        assert!(message(json!({"memory_mb": 300})).contains("steps of 256"));
    }

    #[test]
    fn env_values_become_text() {
        let env = target(json!({"env": {"A": "x", "B": 1, "C": true, "D": 0.5}})).env();
        let pairs: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["A=x", "B=1", "C=true", "D=0.5"]);
    }

    #[test]
    fn a_private_app_has_no_address() {
        assert_eq!(target(json!({})).url().as_deref(), Some("https://my-app.fly.dev"));
        assert_eq!(target(json!({"public": false})).url(), None);
    }
}
