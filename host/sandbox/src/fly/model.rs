//! What the local Fly remembers. Plain data; all of it survives a crash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config;
use super::ids;
use super::settings::Settings;
use crate::machine::orphan::Stamp;

/// Everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The knobs.
    #[serde(default)]
    pub settings: Settings,
    /// Apps by name.
    pub apps: BTreeMap<String, App>,
    /// Machines of all apps by id.
    pub machines: BTreeMap<String, Machine>,
    /// Volumes of all apps by id.
    pub volumes: BTreeMap<String, Volume>,
    /// The last internal number given out.
    pub serial: u64,
}

/// An app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct App {
    /// Stays when the name is given away, unlike the name.
    pub id: String,
    /// Internal number.
    pub number: u64,
    /// Globally unique name.
    pub name: String,
    /// Slug of the owning organisation.
    pub org: String,
    /// Name of its private network.
    pub network: String,
    /// Creation time.
    pub created_ms: i64,
    /// The key it was created with.
    pub idempotency_key: Option<String>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Grows with each change of the secrets.
    pub secrets_version: u64,
    /// Address assignments, oldest first.
    pub ips: Vec<Ip>,
    /// Certificates by host name.
    pub certificates: BTreeMap<String, Certificate>,
    /// Tokens that reach only this app.
    pub deploy_tokens: Vec<String>,
}

/// One app secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// The value; never answered.
    pub value: String,
    /// Creation time.
    pub created_ms: i64,
    /// Time of the last set.
    pub updated_ms: i64,
}

/// One address assignment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ip {
    /// The type as asked for.
    pub kind: String,
    /// The address.
    pub ip: String,
    /// `global`, or a region code.
    pub region: String,
    /// Private network it answers in.
    pub network: Option<String>,
    /// Name of a service it is limited to.
    pub service_name: Option<String>,
    /// Creation time.
    pub created_ms: i64,
}

/// One certificate of an app.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// Whether Fly was asked to get one.
    pub acme: bool,
    /// Whether the user brought one.
    pub custom: bool,
    /// Creation time.
    pub created_ms: i64,
}

/// A volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Volume {
    /// `vol_…`.
    pub id: String,
    /// App it belongs to.
    pub app_id: String,
    /// Not unique.
    pub name: String,
    /// Where it is, for good.
    pub region: String,
    /// Size.
    pub size_gb: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Days its snapshots are kept.
    pub snapshot_retention: u64,
    /// Whether it is saved on schedule.
    pub auto_backup: bool,
    /// The machine that has it.
    pub attached: Option<String>,
    /// Creation time.
    pub created_ms: i64,
    /// Times of its snapshots.
    pub snapshots: Vec<(String, i64)>,
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Made, not yet booting.
    Created,
    /// Booting.
    Starting,
    /// Its process runs.
    Started,
    /// Its process is being ended.
    Stopping,
    /// No process.
    Stopped,
    /// About to be held.
    Suspending,
    /// Its process is held.
    Suspended,
    /// Between two processes of one version.
    Restarting,
    /// Between two versions.
    Replacing,
    /// About to end for good.
    Destroying,
    /// Ended for good.
    Destroyed,
    /// Could not be launched.
    Failed,
}

/// What a machine is meant to do; its keeper works towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// A process of launch number `launch` runs.
    Run,
    /// No process.
    Stop,
    /// A process that is held.
    Suspend,
    /// No process, no machine.
    Destroy,
}

/// How to end a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOrder {
    /// First signal.
    pub signal: String,
    /// Patience before SIGKILL.
    pub timeout_ms: i64,
}

/// A machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// 14 hex characters.
    pub id: String,
    /// App it belongs to.
    pub app_id: String,
    /// That app's name.
    pub app: String,
    /// Unique among the live machines of the app.
    pub name: String,
    /// Region code.
    pub region: String,
    /// What it is doing.
    pub phase: Phase,
    /// What it is meant to do.
    pub goal: Goal,
    /// Counts the processes it was meant to have; a running one of another number is stale.
    pub launch: u64,
    /// How its process is to be ended when the goal says so.
    pub stop: StopOrder,
    /// ULID of the configuration.
    pub version: String,
    /// Earlier configurations, oldest first.
    pub versions: Vec<(String, Value)>,
    /// The configuration as sent, with defaults filled in.
    pub config: Value,
    /// Secrets as of creation or the last update.
    pub secrets: BTreeMap<String, String>,
    /// Private address.
    pub private_ip: String,
    /// Creation time.
    pub created_ms: i64,
    /// Time of the last change.
    pub updated_ms: i64,
    /// Oldest first.
    pub events: Vec<Event>,
    /// Results of the present process.
    pub checks: Vec<CheckResult>,
    /// Taken out of the proxy.
    pub cordoned: bool,
    /// The lease, possibly expired.
    pub lease: Option<Lease>,
    /// Loopback port of the present process.
    pub port: u16,
    /// The present process.
    pub process: Option<Stamp>,
    /// Restarts since it was last told to start.
    pub restarts: u32,
    /// When it ended for good.
    pub destroyed_ms: Option<i64>,
}

/// Something that happened to a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// ULID.
    pub id: String,
    /// `launch`, `start`, `exit`, …
    pub kind: String,
    /// The machine's state after it.
    pub status: String,
    /// `user` or `flyd`.
    pub source: String,
    /// When.
    pub at_ms: i64,
    /// Details.
    pub request: Option<Value>,
}

/// The last result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// `servicecheck-00-http-8080`, or the name in `checks`.
    pub name: String,
    /// Passing, or else critical.
    pub passing: bool,
    /// The words.
    pub output: String,
    /// When it last changed.
    pub updated_ms: i64,
}

/// The right to change a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Proof of holding it.
    pub nonce: String,
    /// When it ends.
    pub expires_ms: i64,
    /// Who holds it.
    pub owner: String,
    /// Why.
    pub description: String,
}

const EVENTS_MAX: usize = 100;
const VERSIONS_MAX: usize = 50;

impl Phase {
    /// Fly's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Suspending => "suspending",
            Self::Suspended => "suspended",
            Self::Restarting => "restarting",
            Self::Replacing => "replacing",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Started | Self::Stopped | Self::Suspended | Self::Destroyed | Self::Failed
        )
    }
}

impl Default for StopOrder {
    fn default() -> Self {
        Self { signal: "SIGINT".to_owned(), timeout_ms: 5_000 }
    }
}

impl Machine {
    /// Enters `phase` and notes it as an event.
    pub fn enter(&mut self, now_ms: i64, phase: Phase, kind: &str, source: &str) {
        self.phase = phase;
        self.note(now_ms, kind, phase.name(), source, None);
    }

    /// Notes an event.
    pub fn note(
        &mut self,
        now_ms: i64,
        kind: &str,
        status: &str,
        source: &str,
        request: Option<Value>,
    ) {
        self.updated_ms = now_ms;
        self.events.push(Event {
            id: ids::ulid(now_ms),
            kind: kind.to_owned(),
            status: status.to_owned(),
            source: source.to_owned(),
            at_ms: now_ms,
            request,
        });
        if self.events.len() > EVENTS_MAX {
            self.events.remove(0);
        }
    }

    /// Replaces the configuration and keeps the old one among the versions.
    pub fn reconfigure(&mut self, now_ms: i64, config: Value) {
        let before = std::mem::replace(&mut self.config, config);
        let version = std::mem::replace(&mut self.version, ids::ulid(now_ms));
        self.versions.push((version, before));
        if self.versions.len() > VERSIONS_MAX {
            self.versions.remove(0);
        }
        self.updated_ms = now_ms;
    }

    /// The lease, if it still counts.
    #[must_use]
    pub fn lease_at(&self, now_ms: i64) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.expires_ms > now_ms)
    }

    /// Whether it has ended, or will.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.goal == Goal::Destroy
    }

    /// Whether every configured check has a passing result.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.phase == Phase::Started && self.passes(|_| true)
    }

    /// Whether the proxy sends requests to it: its own checks count, merely observed ones do not.
    #[must_use]
    pub fn is_routable(&self) -> bool {
        self.phase == Phase::Started
            && !self.cordoned
            && config::internal_port(&self.config).is_some()
            && self.passes(|check| check.routing)
    }

    fn passes(&self, counts: impl Fn(&config::Check) -> bool) -> bool {
        let passing = |name: &str| self.checks.iter().any(|seen| seen.name == name && seen.passing);
        config::checks(&self.config).iter().filter(|check| counts(check)).all(|c| passing(&c.name))
    }
}

impl State {
    /// A new internal number.
    pub fn next_number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The machines of the app with id `app_id`.
    pub fn machines_of<'a>(&'a self, app_id: &'a str) -> impl Iterator<Item = &'a Machine> {
        self.machines.values().filter(move |machine| machine.app_id == app_id)
    }

    /// Whether the host of `machine` does not answer.
    #[must_use]
    pub fn is_unreachable(&self, machine: &Machine) -> bool {
        self.settings.unreachable.iter().any(|name| *name == machine.id || *name == machine.name)
    }
}
