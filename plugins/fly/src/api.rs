//! Fly's operations as functions: one request each, refusals in sentences.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use starsystem_provisioner::serde_json::Value;
use starsystem_provisioner::{
    Attempt, CallError, CallErrorKind, Failure, NamedSecret, Reply, Request, clock, json, pages,
};

use crate::machine::Machine;
use crate::refusal::{self, Names, Refusal};

/// How long a new app may be unknown to parts of Fly.
const FRESH_MS: u64 = 60_000;
/// How long secrets that were set may be unknown to the hosts.
const SECRETS_MS: u64 = 20_000;
/// How often to ask again.
const PAUSE: Duration = Duration::from_secs(1);
/// Machines per page.
const PAGE: u32 = 200;

/// Fly, as seen from one app.
pub struct Api {
    /// What sentences name.
    pub names: Names,
    fresh_until_ms: Cell<u64>,
}

/// An app, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct App {
    /// Differs when the app was deleted and made again.
    #[serde(default, deserialize_with = "json::or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "json::or_default")]
    organization: Organization,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Organization {
    #[serde(default, deserialize_with = "json::or_default")]
    slug: String,
}

impl App {
    /// The slug of its organisation; empty when Fly does not say.
    pub fn org(&self) -> &str {
        &self.organization.slug
    }
}

/// An address of an app.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Address {
    /// The address.
    #[serde(default, deserialize_with = "json::or_default")]
    pub ip: String,
    /// Whether it is for outgoing traffic only.
    #[serde(default, deserialize_with = "json::or_default")]
    pub egress: bool,
}

/// The secrets of an app: digests, never values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Secrets {
    /// Grows with every change; absent in lists.
    pub version: Option<u64>,
    /// Name → digest.
    pub digests: BTreeMap<String, String>,
}

impl Secrets {
    /// What tells one set of values from another: the digests, or the version where Fly gives none.
    pub fn fingerprint(&self) -> BTreeMap<String, String> {
        let version = self.version.unwrap_or_default();
        let tell = |digest: &String| {
            if digest.is_empty() { format!("version {version}") } else { digest.clone() }
        };
        self.digests.iter().map(|(name, digest)| (name.clone(), tell(digest))).collect()
    }
}

impl Api {
    /// Of an app.
    pub fn new(names: Names) -> Self {
        Self { names, fresh_until_ms: Cell::new(0) }
    }

    /// Says that the app was made just now: for a minute, not being known is a passing state.
    pub fn app_is_fresh(&self) {
        self.fresh_until_ms.set(clock::now_ms() + FRESH_MS);
    }

    fn app(&self, operation: &str) -> Request {
        Request::new(operation).param("app", &self.names.app)
    }

    fn of(&self, operation: &str, machine: &str) -> Request {
        self.app(operation).param("machine_id", machine)
    }

    /// Sends; asks again while the app or its secrets are fresh and not known everywhere. Such a refusal means
    /// that nothing was done.
    fn send(&self, request: Request) -> Result<Reply, CallError> {
        let secrets_until_ms = clock::now_ms() + SECRETS_MS;
        loop {
            let reply = request.clone().send()?;
            let until_ms = match refusal::of(&reply) {
                Refusal::NoApp | Refusal::Unauthorized => self.fresh_until_ms.get(),
                Refusal::SecretsNotYet => secrets_until_ms,
                _ => return Ok(reply),
            };
            if clock::now_ms() >= until_ms {
                return Ok(reply);
            }
            clock::wait(PAUSE);
        }
    }

    fn done(&self, request: Request, doing: &str) -> Result<Reply, Failure> {
        let reply = self.send(request)?;
        if reply.is_success() { Ok(reply) } else { Err(self.failure(&reply, doing)) }
    }

    /// The failure of a reply.
    pub fn failure(&self, reply: &Reply, doing: &str) -> Failure {
        refusal::failure(reply, doing, &self.names)
    }

    /// Creates the app; the reply whatever it is. The same key and name again give the same app.
    pub fn create_app(&self, key: &str) -> Result<Reply, CallError> {
        let Names { app, org, .. } = &self.names;
        let body = json!({"name": app, "org_slug": org, "idempotency_key": key});
        Request::new("createApp").json(&body).send()
    }

    /// The app; `None` when there is none.
    pub fn find_app(&self) -> Result<Option<App>, Failure> {
        let reply = self.send(self.app("getApp"))?;
        match refusal::of(&reply) {
            _ if reply.is_success() => Ok(Some(reply.json()?)),
            Refusal::NoApp => Ok(None),
            _ => Err(self.failure(&reply, "read the app")),
        }
    }

    /// Deletes the app and everything in it.
    pub fn delete_app(&self) -> Result<(), Failure> {
        let reply = self.send(self.app("deleteApp").param("force", true))?;
        match refusal::of(&reply) {
            _ if reply.is_success() => Ok(()),
            Refusal::NoApp => Ok(()),
            _ => Err(self.failure(&reply, "delete the app")),
        }
    }

    /// The app's addresses.
    pub fn addresses(&self) -> Result<Vec<Address>, Failure> {
        #[derive(Deserialize)]
        struct Listed {
            #[serde(default, deserialize_with = "json::or_default")]
            ips: Vec<Address>,
        }
        let reply = self.done(self.app("listIps"), "list the app's addresses")?;
        Ok(reply.json::<Listed>()?.ips)
    }

    /// Gives the app an address.
    pub fn assign_address(&self, kind: &str) -> Result<Address, Attempt> {
        let reply = self.send(self.app("assignIp").json(&json!({"type": kind})))?;
        self.made(reply, "give the app an address")
    }

    /// Sets secrets, and removes those of the names in `gone`.
    pub fn set_secrets(&self, set: &[NamedSecret], gone: &[&str]) -> Result<Secrets, Failure> {
        let values: BTreeMap<&str, Value> = gone.iter().map(|name| (*name, Value::Null)).collect();
        let mut request = self.app("setSecrets").json(&json!({"values": values}));
        for secret in set {
            request = request.fill(json::pointer(["values", &secret.name]), secret.value);
        }
        let reply = self.done(request, "set the app's secrets")?;
        let body = reply.value()?;
        let version = [&body["version"], &body["Version"]].into_iter().find_map(Value::as_u64);
        Ok(Secrets { version, digests: digests(&body) })
    }

    /// The app's secrets.
    pub fn secrets(&self) -> Result<Secrets, Failure> {
        let reply = self.done(self.app("listSecrets"), "list the app's secrets")?;
        Ok(Secrets { version: None, digests: digests(&reply.value()?) })
    }

    /// The app's machines, other people's and those that are being destroyed too.
    pub fn machines(&self) -> Result<Vec<Machine>, Failure> {
        let listed = pages(|cursor| {
            let request = self.app("listMachines").param("limit", PAGE).maybe("cursor", cursor);
            let reply = self.done(request, "list the machines")?;
            let next = reply.header("fly-next-cursor").map(str::to_owned);
            Ok((reply.json::<Vec<Machine>>()?, next))
        })?;
        Ok(listed.into_iter().filter(|machine| machine.state != "destroyed").collect())
    }

    /// A machine; `None` when it is gone.
    pub fn machine(&self, id: &str) -> Result<Option<Machine>, Failure> {
        let reply = self.send(self.of("getMachine", id))?;
        match refusal::of(&reply) {
            _ if reply.is_success() => Ok(Some(reply.json()?)),
            Refusal::NoMachine | Refusal::NoApp => Ok(None),
            _ => Err(self.failure(&reply, "read a machine")),
        }
    }

    /// Makes and launches a machine.
    pub fn create_machine(&self, body: &Value) -> Result<Reply, CallError> {
        self.send(self.app("createMachine").json(body))
    }

    /// Replaces a machine's configuration.
    pub fn update_machine(&self, id: &str, nonce: &str, body: &Value) -> Result<Reply, CallError> {
        self.send(self.of("updateMachine", id).param("nonce", nonce).json(body))
    }

    /// Waits up to some seconds for a state; whether it is reached.
    pub fn wait_for(
        &self,
        id: &str,
        state: &str,
        version: Option<&str>,
        seconds: u64,
    ) -> Result<Reply, CallError> {
        let request = self.of("waitMachine", id).param("state", state).param("timeout", seconds);
        self.send(request.maybe("version", version))
    }

    /// `start`, `stop`, `cordon` or `uncordon`.
    pub fn turn(&self, what: &str, id: &str, nonce: Option<&str>) -> Result<Reply, CallError> {
        let request = self.of(&format!("{what}Machine"), id).maybe("nonce", nonce);
        // A body of another kind than an object is refused, and no body has been, too.
        self.send(if what == "stop" { request.json(&json!({})) } else { request })
    }

    /// Takes or, with its nonce, refreshes a lease.
    pub fn lease(&self, id: &str, nonce: Option<&str>, seconds: u32) -> Result<Reply, CallError> {
        let body = json!({"ttl": seconds, "description": "ss deploy"});
        self.send(self.of("leaseMachine", id).maybe("nonce", nonce).json(&body))
    }

    /// Gives a lease back.
    pub fn release(&self, id: &str, nonce: &str) -> Result<Reply, CallError> {
        self.send(self.of("releaseMachine", id).param("nonce", nonce))
    }

    /// Deletes a machine, running or not.
    pub fn delete_machine(&self, id: &str, nonce: Option<&str>) -> Result<(), Failure> {
        let request = self.of("deleteMachine", id).param("force", true).maybe("nonce", nonce);
        let reply = self.send(request)?;
        match refusal::of(&reply) {
            _ if reply.is_success() => Ok(()),
            Refusal::NoMachine => Ok(()),
            _ => Err(self.failure(&reply, "delete a machine")),
        }
    }

    /// The last lines a machine wrote; empty when they cannot be had. Never a reason to fail.
    pub fn last_lines(&self, id: &str, lines_max: usize) -> Vec<String> {
        let Ok(reply) = self.app("listLogs").param("instance", id).send() else {
            return Vec::new();
        };
        let body =
            if reply.is_success() { reply.value().unwrap_or(Value::Null) } else { Value::Null };
        let lines = body["data"].as_array().into_iter().flatten();
        let lines = lines.filter_map(|line| json::text_at(line, "/attributes/message"));
        let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
        lines[lines.len().saturating_sub(lines_max)..].to_vec()
    }

    /// For creations: an answer that leaves the outcome open is told from a refusal.
    pub fn made<T: for<'de> Deserialize<'de>>(
        &self,
        reply: Reply,
        doing: &str,
    ) -> Result<T, Attempt> {
        if reply.is_success() {
            return Ok(reply.json()?);
        }
        let failure = self.failure(&reply, doing);
        Err(if reply.is_ambiguous() { Attempt::Unknown(failure) } else { Attempt::Failed(failure) })
    }
}

/// Whether no answer, or this one, leaves open what happened.
pub fn is_open(answer: &Result<Reply, CallError>) -> bool {
    match answer {
        Ok(reply) => reply.is_ambiguous(),
        Err(error) => {
            matches!(error.kind, CallErrorKind::OutcomeUnknown | CallErrorKind::TooLarge)
        }
    }
}

fn digests(body: &Value) -> BTreeMap<String, String> {
    let secrets = body["secrets"].as_array().into_iter().flatten();
    let pair = |secret: &Value| {
        let name = json::text_at(secret, "/name")?.to_owned();
        Some((name, json::text_at(secret, "/digest").unwrap_or_default().to_owned()))
    };
    secrets.filter_map(pair).collect()
}
