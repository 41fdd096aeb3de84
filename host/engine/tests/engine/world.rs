//! Everything around the engine: one store, vault, clock and vendor that outlive the runs made on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use ss_core::ident::{EnvName, ServiceId, SystemName};
use ss_core::plan::{Allowed, Desired, Injection, Plan, Question, Wanted, decide, destroy};
use ss_core::record::{DeployStatus, Entry, OpenCall, Receipt, ServiceReceipt};
use ss_core::redact::Secret;
use ss_core::state::{Recorded, State};
use ss_core::value::keyed_digest;
use ss_engine::{
    Failure, Ports, Recovered, Report, Run, Settings, Stop, execute, recover, roll_back,
};
use ss_gate::decide::Budget;
use ss_ports::{
    Event, EventSink, Lease, Provisioner, Provisioners, StateStore, UnknownTarget, Vault,
};
use ss_testkit::{FixedClock, MemoryStore, MemoryVault, sample};

use crate::cloud::{Cloud, TOKEN};
use crate::faults::Faults;
use crate::journal::{Log, WatchedStore, WatchedVault, Wire};
use crate::things::Things;

/// The plugins of a run.
#[derive(Clone, Default)]
struct Plugins(BTreeMap<String, Things>);

impl Provisioners for Plugins {
    fn for_target(&self, kind: &str) -> Result<Arc<dyn Provisioner>, UnknownTarget> {
        let found = self.0.get(kind).cloned();
        found.map(|found| Arc::new(found) as _).ok_or_else(|| UnknownTarget(kind.to_owned()))
    }
}

/// Keeps every event.
#[derive(Default)]
pub struct Heard(Mutex<Vec<Event>>);

impl EventSink for Heard {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// The world.
pub struct World {
    pub store: MemoryStore,
    pub vault: Arc<MemoryVault>,
    pub cloud: Arc<Cloud>,
    pub clock: Arc<FixedClock>,
    pub log: Arc<Log>,
    pub settings: Settings,
    /// Under which the next runs stand.
    pub lease: Option<Arc<dyn Lease>>,
    heard: Arc<Heard>,
    plugins: Plugins,
    runs: AtomicU32,
}

impl World {
    /// A world with the honest provisioner of things.
    pub fn new() -> Self {
        Self::with(Things::honest())
    }

    /// A world with this provisioner for the target type `thing`.
    pub fn with(things: Things) -> Self {
        let tokens = ["thing.token", "other.token", "slow.token"].map(|name| (name, TOKEN));
        Self::on(MemoryVault::with_tokens(tokens), things)
    }

    /// A world with this vault.
    pub fn on(vault: MemoryVault, things: Things) -> Self {
        let mut world = Self {
            store: MemoryStore::default(),
            lease: None,
            vault: Arc::new(vault),
            cloud: Arc::default(),
            clock: Arc::default(),
            log: Arc::default(),
            settings: settings(),
            heard: Arc::default(),
            plugins: Plugins::default(),
            runs: AtomicU32::new(1),
        };
        world.offer("thing", things);
        world
    }

    /// Offers a target type from now on.
    pub fn offer(&mut self, kind: &str, things: Things) {
        self.plugins.0.insert(kind.to_owned(), things);
    }

    /// Offers a target type no more.
    pub fn withdraw(&mut self, kind: &str) {
        self.plugins.0.remove(kind);
    }

    /// A new run.
    pub fn run(&self, faults: &Arc<Faults>) -> Arc<Run> {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        let ports = Ports {
            provisioners: Arc::new(self.plugins.clone()),
            egress: Arc::new(Wire::new(&self.cloud, faults, &self.log)),
            vault: Arc::new(WatchedVault::new(&self.vault, faults, &self.log)),
            store: Arc::new(WatchedStore::new(&self.store, faults, &self.log)),
            clock: self.clock.clone(),
            events: self.heard.clone(),
        };
        let header = sample::header(number);
        let settings = self.settings.clone();
        let run = Run::new(ports, settings, header, LINEAGE.to_owned(), Stop::default());
        Arc::new(match &self.lease {
            Some(lease) => run.under(lease),
            None => run,
        })
    }

    /// The state as it is stored.
    pub async fn state(&self) -> State {
        let stored = self.store.load().await.expect("loads");
        stored.map_or_else(|| State::empty(LINEAGE), |stored| stored.state)
    }

    /// What is recorded of a service.
    pub async fn recorded(&self, id: &str) -> Option<Recorded> {
        self.state().await.services.remove(&sample::service(id))
    }

    /// Calls that are open.
    pub async fn open(&self) -> Vec<OpenCall> {
        self.store.load().await.expect("loads").map(|stored| stored.open).unwrap_or_default()
    }

    /// The plan for these services against a state; everything is allowed.
    pub async fn plan(&self, state: &State, desired: &[Desired]) -> Plan {
        let credentials = self.vault.credentials().await.expect("readable");
        let key = self.vault.digest_key().await.expect("readable");
        let digest = |(name, secret): (&String, &Secret)| {
            (name.clone(), keyed_digest(key.expose(), secret.expose()))
        };
        let digests = credentials
            .iter()
            .map(|(service, names)| (service.clone(), names.iter().map(digest).collect()))
            .collect();
        let ids: BTreeSet<ServiceId> = state.services.keys().cloned().collect();
        decide(&Question {
            system: &system(),
            environment: &environment(),
            desired,
            state,
            digests: &digests,
            allowed: &Allowed { replace: ids.clone(), destroy: ids },
        })
    }

    /// Recovers what is open and executes the plan, like `ss deploy`.
    pub async fn deploy_on(&self, run: &Arc<Run>, desired: &[Desired]) -> Result<Report, Failure> {
        let (state, _) = self.recover_on(run).await?;
        let plan = self.plan(&state, desired).await;
        execute(run, &plan, state).await
    }

    /// Recovers what is open.
    pub async fn recover_on(&self, run: &Arc<Run>) -> Result<(State, Recovered), Failure> {
        match self.store.load().await.expect("loads") {
            Some(stored) => recover(run, stored).await,
            None => Ok((State::empty(LINEAGE), Recovered::default())),
        }
    }

    /// A deploy without faults.
    pub async fn deploy(&self, desired: &[Desired]) -> Report {
        let run = self.run(&Faults::none());
        self.deploy_on(&run, desired).await.expect("the run begins")
    }

    /// A deploy with faults. `None` when it was killed.
    pub async fn deploy_under(
        &self,
        faults: &Arc<Faults>,
        desired: &[Desired],
    ) -> Option<Result<Report, Failure>> {
        let run = self.run(faults);
        tokio::select! {
            biased;
            () = faults.death() => None,
            report = self.deploy_on(&run, desired) => Some(report),
        }
    }

    /// Destroys everything, like `ss destroy`.
    pub async fn destroy(&self) -> Report {
        self.destroy_under(&Faults::none()).await.expect("not killed").expect("the run begins")
    }

    /// Destroys everything with faults. `None` when it was killed.
    pub async fn destroy_under(&self, faults: &Arc<Faults>) -> Option<Result<Report, Failure>> {
        let run = self.run(faults);
        let destroying = async {
            let (state, _) = self.recover_on(&run).await?;
            let plan = destroy(&system(), &environment(), &state, None);
            execute(&run, &plan, state).await
        };
        tokio::select! {
            biased;
            () = faults.death() => None,
            report = destroying => Some(report),
        }
    }

    /// Goes back to the run with this number, with faults. `None` when it was killed.
    pub async fn roll_back_under(
        &self,
        faults: &Arc<Faults>,
        number: u32,
    ) -> Option<Result<Report, Failure>> {
        let run = self.run(faults);
        let rolling = async {
            let (state, _) = self.recover_on(&run).await?;
            let snapshot = self.store.snapshot(&sample::deploy(number)).await.expect("readable");
            let rolled = roll_back(&run, state, &snapshot.expect("a snapshot")).await?;
            Ok(Report { receipt: rolled.receipt, failures: BTreeMap::new(), trouble: None })
        };
        tokio::select! {
            biased;
            () = faults.death() => None,
            report = rolling => Some(report),
        }
    }

    /// What was heard so far.
    pub fn events(&self) -> Vec<Event> {
        self.heard.0.lock().unwrap().clone()
    }

    /// The steps, logs and failures that were shown so far.
    pub fn shown(&self) -> Vec<String> {
        let shown = self.events().into_iter().filter_map(|event| match event {
            Event::Step { message, .. } | Event::Log { message, .. } => Some(message),
            Event::Finished { result: Err(message), .. } => Some(message),
            _ => None,
        });
        shown.collect()
    }

    /// A credential in the vault.
    pub async fn credential(&self, service: &str, name: &str) -> Option<String> {
        let all = self.vault.credentials().await.expect("readable");
        all.get(service)?.get(name).map(|secret| secret.expose().clone())
    }

    /// Nothing that was ever written in the open or shown holds one of these texts, or one that the vendor made.
    pub async fn holds_no_secret(&self, texts: &[&str]) {
        let passwords = self.cloud.things().into_values().map(|thing| thing.password);
        let secrets: Vec<String> = texts
            .iter()
            .map(|text| (*text).to_owned())
            .chain(passwords)
            .chain([TOKEN.to_owned()])
            .collect();
        let mut open = self.log.written();
        open.push(format!("{:?}", self.events()));
        open.push(serde_json::to_string(&self.state().await).expect("JSON"));
        for text in open {
            for secret in &secrets {
                let escaped = Value::String(secret.clone()).to_string();
                assert!(!text.contains(escaped.trim_matches('"')), "{secret} is in {text}");
            }
        }
    }

    /// No call is open, no receipt says that its run goes on, and every record is whole.
    pub async fn is_settled(&self) {
        let stored = self.store.load().await.expect("loads").expect("a state");
        assert_eq!(stored.open, Vec::new());
        assert!(stored.unfinished.is_none());
        let partial = |record: &&Recorded| record.progress != ss_core::state::Progress::Complete;
        assert_eq!(stored.state.services.values().find(partial), None);
        let running = |receipt: &Receipt| receipt.status == DeployStatus::Running;
        let receipts = self.store.receipts().await.expect("readable");
        assert!(!receipts.into_iter().any(|receipt| running(&receipt)));
    }
}

/// The lineage of every state here.
pub const LINEAGE: &str = "lineage-1";

fn system() -> SystemName {
    SystemName::new("my-app").expect("a valid name")
}

fn environment() -> EnvName {
    EnvName::new("prod").expect("a valid name")
}

fn settings() -> Settings {
    Settings {
        system: system(),
        environment: environment(),
        overlay: None,
        connections: BTreeMap::new(),
        credentials: BTreeMap::new(),
        grants: BTreeMap::new(),
        taken: BTreeMap::new(),
        parallelism: 4,
        budget: Budget::default(),
    }
}

/// A service that wants a thing of this size.
pub fn wants(id: &str, size: u32) -> Desired {
    wants_of(&Things::honest(), id, serde_json::json!({"size": size, "region": "eu"}))
}

/// A service that wants this of a provisioner.
pub fn wants_of(things: &Things, id: &str, fields: Value) -> Desired {
    let facts = Arc::new(things.facts());
    Desired {
        id: sample::service(id),
        target: Wanted::Target { facts, fields, inputs: Vec::new() },
        depends_on: BTreeSet::new(),
        protect: None,
    }
}

/// The service, standing on others.
pub fn after(mut desired: Desired, ids: &[&str]) -> Desired {
    desired.depends_on.extend(ids.iter().map(|id| sample::service(id)));
    desired
}

/// The service, with the URL of another injected.
pub fn taking(desired: Desired, source: &str) -> Desired {
    let mut desired = after(desired, &[source]);
    if let Wanted::Target { inputs, .. } = &mut desired.target {
        inputs.push(Injection { source: sample::service(source), name: "URL".to_owned() });
    }
    desired
}

/// `service: action status` for each service of a report.
pub fn told(report: &Report) -> Vec<String> {
    let line = |service: &ServiceReceipt| {
        format!("{}: {} {}", service.service, service.action.as_str(), service.status)
    };
    report.receipt.services.iter().map(line).collect()
}

/// A short name for each entry of the journal.
pub fn entries(journal: &[Entry]) -> Vec<String> {
    journal.iter().map(crate::journal::name).collect()
}
