//! A machine as the API shows it, read leniently: the real answers bend their own schema.

use serde::Deserialize;
use starsystem_provisioner::json;
use starsystem_provisioner::serde_json::Value;

/// A machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Machine {
    /// 14 hex characters.
    pub id: String,
    /// Unique among the app's live machines.
    #[serde(default, deserialize_with = "json::or_default")]
    pub name: String,
    /// `started`, `stopped`, … an open list.
    #[serde(default, deserialize_with = "json::or_default")]
    pub state: String,
    /// Where it runs.
    #[serde(default, deserialize_with = "json::or_default")]
    pub region: String,
    #[serde(default, deserialize_with = "json::or_default")]
    version: String,
    #[serde(default, deserialize_with = "json::or_default")]
    instance_id: String,
    /// Its configuration; absent when its host does not answer.
    #[serde(default, deserialize_with = "json::or_default")]
    pub config: Value,
    /// What is known of the configuration when its host does not answer.
    #[serde(default, deserialize_with = "json::or_default")]
    pub incomplete_config: Value,
    /// The image that was pulled.
    #[serde(default, deserialize_with = "json::or_default")]
    pub image_ref: ImageRef,
    /// Results of its checks; empty right after launch.
    #[serde(default, deserialize_with = "json::or_default")]
    pub checks: Vec<Check>,
    /// What happened to it, newest first.
    #[serde(default, deserialize_with = "json::or_default")]
    pub events: Vec<Event>,
    /// `ok`, `unknown` or `unreachable`; empty counts as ok.
    #[serde(default, deserialize_with = "json::or_default")]
    pub host_status: String,
    /// Whether the proxy leaves it out.
    #[serde(default, deserialize_with = "json::or_default")]
    pub cordoned: bool,
}

/// The image that was pulled.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ImageRef {
    /// `sha256:…`
    #[serde(default)]
    pub digest: Option<String>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Check {
    /// `servicecheck-00-http-8080`, or the name in the configuration.
    #[serde(default, deserialize_with = "json::or_default")]
    pub name: String,
    /// `passing`, `warning` or `critical`.
    #[serde(default, deserialize_with = "json::or_default")]
    pub status: String,
    /// What it saw.
    #[serde(default, deserialize_with = "json::or_default")]
    pub output: String,
}

/// Something that happened to a machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// Its id, when there is one.
    #[serde(default, deserialize_with = "json::or_default")]
    pub id: String,
    /// `launch`, `start`, `update`, `exit`, …
    #[serde(default, deserialize_with = "json::or_default", rename = "type")]
    pub kind: String,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "json::or_default")]
    pub timestamp: u64,
    /// Details, by kind.
    #[serde(default, deserialize_with = "json::or_default")]
    pub request: Value,
}

impl Machine {
    /// Changes with every update. Older answers call it `instance_id`.
    pub fn version(&self) -> &str {
        if self.version.is_empty() { &self.instance_id } else { &self.version }
    }

    /// Whether it no longer exists.
    pub fn is_gone(&self) -> bool {
        matches!(self.state.as_str(), "destroyed" | "destroying")
    }

    /// Whether it rests: ended, stopped or put to sleep.
    pub fn is_resting(&self) -> bool {
        matches!(self.state.as_str(), "stopped" | "suspended")
    }

    /// Whether it could not be launched.
    pub fn is_failed(&self) -> bool {
        matches!(self.state.as_str(), "failed" | "launch_failed")
    }

    /// Whether its host answers, so that its configuration can be believed.
    pub fn is_reachable(&self) -> bool {
        matches!(self.host_status.as_str(), "" | "ok") && self.config.is_object()
    }

    /// Whether the proxy may send it to sleep and wake it again.
    pub fn sleeps(&self) -> bool {
        let service = &self.config["services"][0];
        let on = match &service["autostop"] {
            Value::Bool(on) => *on,
            Value::String(mode) => matches!(mode.as_str(), "stop" | "suspend"),
            _ => false,
        };
        on && service["autostart"] != Value::Bool(false)
    }

    /// Whether a volume ties it to its host.
    pub fn has_volume(&self) -> bool {
        let mounts =
            |config: &Value| config["mounts"].as_array().is_some_and(|list| !list.is_empty());
        mounts(&self.config) || mounts(&self.incomplete_config)
    }

    /// A value of its metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let known = if self.config.is_object() { &self.config } else { &self.incomplete_config };
        known["metadata"][key].as_str()
    }

    /// The image it is configured with.
    pub fn image(&self) -> &str {
        self.config["image"].as_str().unwrap_or_default()
    }

    /// How many checks its configuration holds.
    pub fn checks_configured(&self) -> usize {
        let list = |value: &Value| value.as_array().map_or(0, Vec::len);
        let services = self.config["services"].as_array();
        let of_services: usize =
            services.into_iter().flatten().map(|service| list(&service["checks"])).sum();
        of_services + self.config["checks"].as_object().map_or(0, |checks| checks.len())
    }

    /// The number at the end of its name; machines without one come last.
    pub fn number(&self) -> u32 {
        let number = self.name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        number.unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use starsystem_provisioner::serde_json;

    use super::*;

    /// A machine of some fields.
    pub(crate) fn machine(fields: Value) -> Machine {
        let mut whole = json_machine();
        for (name, value) in fields.as_object().expect("fields are an object") {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).expect("it is a machine")
    }

    fn json_machine() -> Value {
        starsystem_provisioner::json!({"id": "3d8d413b29d089", "name": "api-1", "state": "started",
            "region": "iad", "version": "01HEPA330HZ37A78TK080NAK1M",
            "config": {"image": "ghcr.io/me/api:v1", "metadata": {"ss_mark": "ss-test"}}})
    }

    #[test]
    fn reads_an_answer_full_of_nulls() {
        let text = r#"{"id": "d5683210c7968e", "name": null, "state": "starting", "region": "cdg",
            "instance_id": "01G3GNA72484XS5D9SCRW8X79Q", "config": {"env": null, "metadata": null,
            "services": [{"autostop": true, "checks": null}], "checks": null}, "checks": null,
            "events": [{"type": "start", "timestamp": 1, "request": null}], "image_ref": null}"#;
        let machine: Machine = serde_json::from_str(text).unwrap();
        assert_eq!(machine.version(), "01G3GNA72484XS5D9SCRW8X79Q");
        assert_eq!((machine.checks_configured(), machine.metadata("ss_mark")), (0, None));
        assert!(machine.sleeps() && machine.is_reachable());
    }

    #[test]
    fn version_and_its_older_name_may_come_together() {
        let machine: Machine =
            serde_json::from_str(r#"{"id": "a", "version": "V", "instance_id": "V"}"#).unwrap();
        assert_eq!(machine.version(), "V");
    }
}
