//! What is kept about an app: facts that `read` sees again, nothing that moves by itself.
//!
//! One function makes them from what is there, for `apply` and for `read`; so right after a deploy there is
//! no drift.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use starsystem_provisioner::{Recorded, json};

use crate::api::{Address, App};
use crate::config::MARK;
use crate::machine::Machine;
use crate::target::Guest;

/// The facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// The app's name.
    pub app: String,
    /// The app's id; another one means that the app was deleted and made again.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_id: String,
    /// Slug of its organisation.
    pub org: String,
    /// Where the machines run; several regions with commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// What the machines run; several images with commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Digest of what was pulled.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Size of the machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<Guest>,
    /// Names of the environment variables.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub env: BTreeSet<String>,
    /// The service's secrets: name → Fly's digest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The app's addresses.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ips: BTreeSet<String>,
    /// The service's machines by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub machines: BTreeMap<String, MachineFacts>,
    /// Ids of machines in the app that this service did not make.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub other_machines: BTreeSet<String>,
}

/// The facts about a machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineFacts {
    /// Its id.
    pub id: String,
    /// Its version: the same version means the same configuration.
    pub version: String,
    /// Its state, when it should run and does not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// Whether it is taken out of service.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
}

/// What there is besides machines.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The app.
    pub app: App,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Digests of the service's secrets.
    pub secrets: BTreeMap<String, String>,
}

/// Which machines of an app are the service's.
#[derive(Debug, Clone, Default)]
pub struct Ours {
    /// The mark that the service's machines bear.
    pub mark: String,
    /// Ids of machines that are recorded as the service's, whoever made them.
    pub recorded: BTreeSet<String>,
}

impl Ours {
    /// Those of a service.
    pub fn of(mark: &str, recorded: Option<&Attributes>) -> Self {
        let machines = recorded.iter().flat_map(|recorded| recorded.machines.values());
        let recorded = machines.map(|machine| machine.id.clone()).collect();
        Self { mark: mark.to_owned(), recorded }
    }

    /// Whether a machine is one of them.
    pub fn has(&self, machine: &Machine) -> bool {
        machine.metadata(MARK) == Some(&self.mark) || self.recorded.contains(&machine.id)
    }
}

impl Attributes {
    /// The facts about an app with these machines.
    pub fn observed(
        app: &str,
        org: &str,
        around: &Surroundings,
        machines: &[Machine],
        ours: &Ours,
    ) -> Self {
        let live = machines.iter().filter(|machine| !machine.is_gone());
        let (ours, others): (Vec<&Machine>, Vec<&Machine>) =
            live.partition(|machine| ours.has(machine));
        let reachable: Vec<&&Machine> =
            ours.iter().filter(|machine| machine.is_reachable()).collect();
        let digests = reachable.iter().filter_map(|machine| machine.image_ref.digest.as_deref());
        let env = reachable.iter().filter_map(|machine| machine.config["env"].as_object());
        let org = if around.app.org().is_empty() { org } else { around.app.org() };
        Self {
            app: app.to_owned(),
            app_id: around.app.id.clone(),
            org: org.to_owned(),
            region: distinct(ours.iter().map(|machine| machine.region.as_str())),
            image: distinct(reachable.iter().map(|machine| machine.image())),
            digest: distinct(digests),
            guest: reachable.first().map(|machine| guest(machine)),
            env: env.flat_map(|env| env.keys().cloned()).collect(),
            secrets: around.secrets.clone(),
            ips: around.addresses.iter().map(|address| address.ip.clone()).collect(),
            machines: ours.iter().map(|machine| (machine.name.clone(), facts(machine))).collect(),
            other_machines: others.iter().map(|machine| machine.id.clone()).collect(),
        }
    }

    /// Takes from an earlier record what cannot be seen while a host does not answer.
    pub fn with_unseen(mut self, machines: &[Machine], earlier: &Self) -> Self {
        if machines.iter().any(|machine| !machine.is_reachable()) {
            self.image.clone_from(&earlier.image);
            self.digest.clone_from(&earlier.digest);
            self.guest.clone_from(&earlier.guest);
            self.env.clone_from(&earlier.env);
        }
        self
    }
}

/// The record of an app.
pub fn record(attributes: Attributes, url: Option<String>) -> Recorded<Attributes> {
    let record = Recorded::new(attributes.app.clone(), attributes);
    match url {
        Some(url) => record.with_url(url),
        None => record,
    }
}

fn facts(machine: &Machine) -> MachineFacts {
    let amiss = machine.is_failed() || machine.is_resting() && !machine.sleeps();
    MachineFacts {
        id: machine.id.clone(),
        version: machine.version().to_owned(),
        state: if amiss { machine.state.clone() } else { String::new() },
        cordoned: machine.cordoned,
    }
}

fn guest(machine: &Machine) -> Guest {
    let number = |key: &str| {
        let value = machine.config["guest"][key].as_u64().unwrap_or(0);
        u32::try_from(value).unwrap_or(u32::MAX)
    };
    let kind = json::text_at(&machine.config, "/guest/cpu_kind").unwrap_or_default();
    let kind = if kind.is_empty() { "shared" } else { kind };
    Guest { cpu_kind: kind.to_owned(), cpus: number("cpus"), memory_mb: number("memory_mb") }
}

fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: BTreeSet<&str> = values.filter(|value| !value.is_empty()).collect();
    values.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use starsystem_provisioner::serde_json;

    use super::*;
    use crate::machine::tests::machine;

    fn ours() -> Ours {
        Ours::of("ss-test", None)
    }

    fn observed(machines: &[Machine]) -> serde_json::Value {
        let attributes =
            Attributes::observed("my-app", "personal", &Surroundings::default(), machines, &ours());
        serde_json::to_value(attributes).unwrap()
    }

    #[test]
    fn what_moves_by_itself_is_not_kept() {
        let quiet = machine(json!({}));
        let busy =
            machine(json!({"state": "restarting", "private_ip": "fdaa::9", "updated_at": "now",
            "checks": [{"name": "x", "status": "critical"}], "events": [{"type": "exit"}]}));
        assert_eq!(observed(&[quiet]), observed(&[busy]));
        let asleep = json!({"image": "ghcr.io/me/api:v1", "metadata": {"ss_mark": "ss-test"},
            "services": [{"autostop": true}]});
        let sleeper = machine(json!({"state": "stopped", "config": asleep}));
        assert!(observed(&[sleeper]).pointer("/machines/api-1/state").is_none());
    }

    #[test]
    fn what_somebody_changed_is_seen() {
        let changed = json!({"image": "ghcr.io/me/api:v2", "metadata": {"ss_mark": "ss-test"}, "env": {"A": "1"}});
        let seen = observed(&[
            machine(json!({"cordoned": true})),
            machine(
                json!({"id": "b", "name": "api-2", "state": "stopped", "region": "fra", "config": changed}),
            ),
            machine(json!({"id": "c", "name": "by-hand", "config": {}})),
        ]);
        assert_eq!(seen["image"], "ghcr.io/me/api:v1, ghcr.io/me/api:v2");
        assert_eq!(seen["region"], "fra, iad");
        assert_eq!(seen["machines"]["api-1"]["cordoned"], true);
        assert_eq!(seen["machines"]["api-2"]["state"], "stopped");
        assert_eq!((&seen["env"], &seen["other_machines"]), (&json!(["A"]), &json!(["c"])));
    }

    #[test]
    fn a_recorded_machine_is_ours_without_the_mark() {
        let by_hand = machine(json!({"id": "c", "name": "by-hand", "config": {}}));
        let facts = MachineFacts { id: "c".to_owned(), ..MachineFacts::default() };
        let machines = BTreeMap::from([("by-hand".to_owned(), facts)]);
        let recorded = Attributes { machines, ..Attributes::default() };
        assert!(Ours::of("ss-test", Some(&recorded)).has(&by_hand) && !ours().has(&by_hand));
    }

    #[test]
    fn a_silent_host_is_not_drift() {
        let seen = [machine(json!({}))];
        let before = Attributes::observed("a", "o", &Surroundings::default(), &seen, &ours());
        let silent = [machine(json!({"host_status": "unreachable", "config": null,
            "incomplete_config": {"metadata": {"ss_mark": "ss-test"}}}))];
        let now = Attributes::observed("a", "o", &Surroundings::default(), &silent, &ours());
        assert_eq!(now.with_unseen(&silent, &before), before);
    }
}
