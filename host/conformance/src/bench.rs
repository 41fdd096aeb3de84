//! What all trials of one provisioner share: the component, the case, the way out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use ss_core::check::{TargetType, check};
use ss_core::diag::{SourceFile, render};
use ss_core::ident::EnvName;
use ss_core::plan::Desired;
use ss_core::redact::Secret;
use ss_core::schema::immutable_paths;
use ss_engine::Override;
use ss_gate::manifest::{Connection, Manifest};
use ss_ports::{Egress, HttpRequest, Plugin, Provisioner, Provisioners, RetryRules, UnknownTarget};

use crate::case::{Case, CaseError, Inventory};
use crate::clock::QuickClock;
use crate::log::Log;
use crate::watch::Watched;

/// The environment of every trial.
pub const ENVIRONMENT: &str = "test";
/// The service of every trial.
pub const SERVICE: &str = "subject";
/// How long a list may take.
const LIST_MS: u32 = 30_000;

/// A provisioner on the bench.
pub struct Bench {
    /// What is asked of it.
    pub case: Case,
    /// The way out.
    pub egress: Arc<dyn Egress>,
    /// Time.
    pub clock: Arc<QuickClock>,
    pub(crate) log: Arc<Log>,
    provisioner: Arc<dyn Provisioner>,
    types: BTreeMap<String, TargetType>,
}

impl Bench {
    /// Puts a provisioner on the bench. `egress` must tell the time by `clock`.
    pub fn new(
        provisioner: Arc<dyn Provisioner>,
        case: Case,
        egress: Arc<dyn Egress>,
        clock: Arc<QuickClock>,
    ) -> Result<Self, CaseError> {
        let Plugin { pin, manifest } = provisioner.plugin();
        let kind = case.kind().to_owned();
        let unknown = || {
            let offered: Vec<&str> = manifest.targets.iter().map(|t| t.kind.as_str()).collect();
            let offered = offered.join(", ");
            CaseError(format!(
                "the provisioner does not offer the type `{kind}`; it offers {offered}"
            ))
        };
        let target = manifest.targets.iter().find(|t| t.kind == kind).ok_or_else(unknown)?;
        let schema = target.schema.clone();
        let facts = manifest.facts(&kind, pin, immutable_paths(&schema)).ok_or_else(unknown)?;
        check_names(&case, manifest)?;
        let types = BTreeMap::from([(kind, TargetType { facts: Arc::new(facts), schema })]);
        let log = Arc::new(Log::default());
        let provisioner = Arc::new(Watched::new(provisioner, log.clone()));
        let bench = Self { case, egress, clock, log, provisioner, types };
        for fields in [&Map::new(), &bench.case.update, &bench.case.replace, &bench.case.neighbour]
        {
            bench.desired(&bench.case.with(fields))?;
        }
        Ok(bench)
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        self.provisioner.plugin()
    }

    /// The lines of the present trial, as the provisioner saw it.
    pub fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Unsafe and safe operations of the manifest that no trial asked for.
    pub fn unused(&self) -> Vec<String> {
        let used = self.log.operations();
        let operations = self.plugin().manifest.connections.iter().flat_map(|c| &c.operations);
        operations.map(|o| o.name.clone()).filter(|name| !used.contains(name)).collect()
    }

    /// The connections of the case.
    pub(crate) fn connections(&self) -> BTreeMap<String, Override> {
        let to = |base_url: &String| Override { base_url: base_url.clone(), local: true };
        self.case.connections.iter().map(|(name, url)| (name.clone(), to(url))).collect()
    }

    /// What the planner is asked for one target; all of its problems at once when it does not fit the schema.
    pub(crate) fn desired(&self, target: &Map<String, Value>) -> Result<Vec<Desired>, CaseError> {
        // JSON is YAML.
        let base =
            json!({"version": "2", "name": "conformance", "services": {SERVICE: {"type": "any"}}});
        let overlay = json!({"version": "2", "environment": ENVIRONMENT, "services": {SERVICE: {"target": target}}});
        let base = SourceFile::new("case", base.to_string());
        let overlay = SourceFile::new("target of the case", overlay.to_string());
        let env = EnvName::new(ENVIRONMENT).expect("a name");
        let checked = check(&base, Some((&env, &overlay)), &self.types, None);
        if checked.is_usable() {
            return Ok(checked.desired);
        }
        Err(CaseError(render(&checked.diagnostics, &[base, overlay])))
    }

    /// How many resources there are; `None` without an inventory.
    pub(crate) async fn count(&self) -> Result<Option<usize>, CaseError> {
        if self.case.inventory.is_empty() {
            return Ok(None);
        }
        let mut total = 0;
        for inventory in &self.case.inventory {
            total += self.count_one(inventory).await?;
        }
        Ok(Some(total))
    }

    async fn count_one(&self, inventory: &Inventory) -> Result<usize, CaseError> {
        let url = format!("{}{}", self.case.connections[&inventory.connection], inventory.path);
        let exchange = self.egress.send(self.list(inventory, url.clone())).await;
        let trouble =
            |why: String| CaseError(format!("the inventory `{url}` cannot be read: {why}"));
        let reply = exchange.result.map_err(|error| trouble(error.to_string()))?;
        if reply.status != 200 {
            return Err(trouble(format!("status {}", reply.status)));
        }
        let body: Value = serde_json::from_slice(reply.body.expose())
            .map_err(|error| trouble(error.to_string()))?;
        let items = body.pointer(&inventory.items).and_then(Value::as_array);
        items
            .map(Vec::len)
            .ok_or_else(|| trouble(format!("there is no list at `{}`", inventory.items)))
    }

    fn list(&self, inventory: &Inventory, url: String) -> HttpRequest {
        let manifest = &self.plugin().manifest;
        let connection = manifest.connections.iter().find(|c| c.name == inventory.connection);
        HttpRequest {
            connection: inventory.connection.clone(),
            operation: "inventory".to_owned(),
            service: None,
            route: inventory.path.clone(),
            method: "GET".to_owned(),
            url,
            local: true,
            authorization: connection.and_then(|connection| self.authorization(connection)),
            headers: Vec::new(),
            body: None,
            timeout_ms: LIST_MS,
            retry: RetryRules {
                safe: true,
                attempts: 3,
                total_ms: LIST_MS,
                ..RetryRules::default()
            },
            rate: None,
        }
    }

    fn authorization(&self, connection: &Connection) -> Option<Secret> {
        let token = self.case.credentials.get(&connection.auth.as_ref()?.bearer)?;
        Some(Secret::new(format!("Bearer {token}")))
    }
}

/// A name that the manifest does not have is a typo.
fn check_names(case: &Case, manifest: &Manifest) -> Result<(), CaseError> {
    let connections: Vec<&str> = manifest.connections.iter().map(|c| c.name.as_str()).collect();
    let asked = case.inventory.iter().map(|inventory| &inventory.connection);
    for name in case.connections.keys().chain(asked) {
        if !connections.contains(&name.as_str()) {
            let all = connections.join(", ");
            return Err(CaseError(format!(
                "the manifest has no connection `{name}`; it has {all}"
            )));
        }
    }
    for connection in &connections {
        if !case.connections.contains_key(*connection) {
            return Err(CaseError(format!(
                "`connections` does not say where `{connection}` leads; nothing may reach the vendor from a test"
            )));
        }
    }
    let credentials: Vec<&str> = manifest.credentials.iter().map(|c| c.name.as_str()).collect();
    for name in case.credentials.keys() {
        if !credentials.contains(&name.as_str()) {
            let all = credentials.join(", ");
            return Err(CaseError(format!(
                "the manifest has no credential `{name}`; it has {all}"
            )));
        }
    }
    Ok(())
}

impl Provisioners for Bench {
    fn for_target(&self, kind: &str) -> Result<Arc<dyn Provisioner>, UnknownTarget> {
        if self.types.contains_key(kind) {
            Ok(self.provisioner.clone())
        } else {
            Err(UnknownTarget(kind.to_owned()))
        }
    }
}
