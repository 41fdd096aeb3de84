//! One trial: a system of one service, deployed by the real engine. Killing it is dropping its run; what it wrote stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use ss_core::ident::{DeployId, EnvName, ServiceId, SystemName};
use ss_core::plan::{self, Allowed, Plan, Question};
use ss_core::record::{DeployHeader, DeployStatus, RunKind};
use ss_core::redact::Secret;
use ss_core::state::{Progress, Recorded, State};
use ss_engine::{Failure, Observed, Ports, Run, Settings, Stop, execute, observe, recover};
use ss_gate::decide::Budget;
use ss_ports::{Clock, Event, EventSink, Holder, StateStore, Vault};
use ss_testkit::{MemoryStore, MemoryVault};

use crate::bench::{Bench, ENVIRONMENT, SERVICE};
use crate::case::CaseError;
use crate::crowd::Crowd;
use crate::spoil::{Asked, Remembered, Spoiler, Trouble};

/// What there should be.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'t> {
    /// The service with this target.
    Target(&'t Map<String, Value>),
    /// Nothing.
    Nothing,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// Everything was done, or there was nothing to do.
    Done,
    /// The service was not done, or the run did not even begin.
    Failed(Failure),
    /// The run was killed.
    Killed,
}

/// What came of a run.
#[derive(Debug)]
pub struct Came {
    /// How it ended.
    pub ended: Ended,
    /// What it asked for.
    pub asked: Vec<Asked>,
    /// Whether the request that was to go wrong was asked for.
    pub met: bool,
}

/// A system of one service.
pub struct Subject {
    bench: Arc<Bench>,
    store: MemoryStore,
    vault: Arc<MemoryVault>,
    lineage: String,
    said: Arc<Said>,
    remembered: Remembered,
    crowd: Option<Arc<Crowd>>,
}

/// Everything that was told to the user.
#[derive(Default)]
struct Said(Mutex<String>);

impl EventSink for Said {
    fn event(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&format!("{event:?}\n"));
    }
}

impl Subject {
    /// A system that has nothing yet.
    pub fn new(bench: &Arc<Bench>) -> Self {
        Self::of_lineage(bench, DeployId::random().as_str().to_owned())
    }

    /// A system as an earlier process wrote it down.
    pub async fn of_state(bench: &Arc<Bench>, state: &State) -> Result<Self, Failure> {
        let subject = Self::of_lineage(bench, state.lineage.clone());
        subject.store.commit(state, 0).await?;
        Ok(subject)
    }

    fn of_lineage(bench: &Arc<Bench>, lineage: String) -> Self {
        let tokens = bench.case.credentials.iter();
        let tokens = tokens.map(|(name, value)| (name.as_str(), value.as_str()));
        Self {
            bench: bench.clone(),
            store: MemoryStore::default(),
            vault: Arc::new(MemoryVault::with_tokens(tokens)),
            lineage,
            said: Arc::default(),
            remembered: Remembered::default(),
            crowd: None,
        }
    }

    /// The same system, among somebody else's resources.
    #[must_use]
    pub fn among(self, crowd: Option<Arc<Crowd>>) -> Self {
        Self { crowd, ..self }
    }

    /// The same system, which has lost its records: what was made has to be found again.
    #[must_use]
    pub fn forgetful(&self) -> Self {
        Self::of_lineage(&self.bench, self.lineage.clone())
    }

    /// The same system a second time: what is done to the resource there, nobody here is told of.
    pub async fn double(&self) -> Result<Self, Failure> {
        let double = self.forgetful();
        double.store.commit(&self.state().await?, 0).await?;
        for (service, credentials) in self.vault.credentials().await? {
            double.vault.replace_credentials(&service, credentials).await?;
        }
        Ok(double)
    }

    /// Everything recorded.
    pub async fn state(&self) -> Result<State, Failure> {
        let stored = self.store.load().await?;
        Ok(stored.map_or_else(|| State::empty(&self.lineage), |stored| stored.state))
    }

    /// What is recorded of the service.
    pub async fn record(&self) -> Result<Option<Recorded>, Failure> {
        Ok(self.state().await?.services.remove(&service()))
    }

    /// The credentials that the service gave.
    pub async fn outputs(&self) -> Result<BTreeMap<String, Secret>, Failure> {
        Ok(self.vault.credentials().await?.remove(SERVICE).unwrap_or_default())
    }

    /// Brings about what is wanted; one request may go wrong.
    pub async fn run(&self, wanted: Wanted<'_>, trouble: Option<Trouble>) -> Came {
        let spoiler = self.spoiler(trouble);
        let work = self.work(&spoiler, wanted);
        let ended = tokio::select! {
            biased;
            () = spoiler.killed() => Ended::Killed,
            ended = work => match ended {
                Ok(()) => Ended::Done,
                Err(failure) => Ended::Failed(failure),
            },
        };
        Came { ended, asked: spoiler.asked(), met: spoiler.met() }
    }

    async fn work(&self, spoiler: &Arc<Spoiler>, wanted: Wanted<'_>) -> Result<(), Failure> {
        let _lease = self.store.lock(holder()).await?;
        let kind = match wanted {
            Wanted::Target(_) => RunKind::Deploy,
            Wanted::Nothing => RunKind::Destroy,
        };
        let run = self.begin(spoiler, kind);
        let stored = self.store.load().await?;
        let unfinished =
            stored.as_ref().is_some_and(|s| s.unfinished.is_some() || !s.open.is_empty());
        let state = match stored {
            Some(stored) => recover(&run, stored).await?.0,
            None => State::empty(&self.lineage),
        };
        let plan = self.plan_against(wanted, &state).await?;
        if plan.is_empty() && !unfinished {
            return Ok(());
        }
        let report = execute(&run, &plan, state).await?;
        if let Some(failure) = report.failures.into_values().next().or(report.trouble) {
            return Err(failure);
        }
        match report.receipt.status {
            DeployStatus::Completed => Ok(()),
            status => Err(Failure::new("SS0330", format!("the run ended as {status:?}"))),
        }
    }

    /// What would be done.
    pub async fn plan(&self, wanted: Wanted<'_>) -> Result<Plan, Failure> {
        self.plan_against(wanted, &self.state().await?).await
    }

    async fn plan_against(&self, wanted: Wanted<'_>, state: &State) -> Result<Plan, Failure> {
        let (system, environment) = (system(), environment());
        let target = match wanted {
            Wanted::Nothing => return Ok(plan::destroy(&system, &environment, state, None)),
            Wanted::Target(target) => target,
        };
        let desired =
            self.bench.desired(target).map_err(|CaseError(why)| Failure::new("SS0621", why))?;
        let allowed = Allowed { replace: BTreeSet::from([service()]), ..Allowed::default() };
        let question = Question {
            system: &system,
            environment: &environment,
            desired: &desired,
            state,
            digests: &BTreeMap::new(),
            allowed: &allowed,
        };
        Ok(plan::decide(&question))
    }

    /// Reads what is there; reads only.
    pub async fn observe(
        &self,
        trouble: Option<Trouble>,
    ) -> Result<(Option<Observed>, Came), Failure> {
        let spoiler = self.spoiler(trouble);
        let run = self.begin(&spoiler, RunKind::Deploy);
        let state = self.state().await?;
        let reading = observe(&run, &state);
        let (seen, ended) = tokio::select! {
            biased;
            () = spoiler.killed() => (None, Ended::Killed),
            mut seen = reading => (seen.remove(&service()), Ended::Done),
        };
        Ok((seen, Came { ended, asked: spoiler.asked(), met: spoiler.met() }))
    }

    /// Notes what a look at the resource found, as `ss deploy --refresh` does.
    pub async fn refresh(&self) -> Result<(), Failure> {
        let (seen, _) = self.observe(None).await?;
        let mut state = self.state().await?;
        match seen {
            Some(Observed::Gone) => {
                state.services.remove(&service());
            }
            Some(Observed::Unknown(failure)) => return Err(failure),
            _ => {}
        }
        self.put(state).await
    }

    /// Marks the record, so that the next run applies again.
    pub async fn doubt(&self) -> Result<(), Failure> {
        let mut state = self.state().await?;
        if let Some(record) = state.services.get_mut(&service()) {
            record.progress = Progress::Unverified;
        }
        self.put(state).await
    }

    async fn put(&self, state: State) -> Result<(), Failure> {
        let serial = state.serial;
        self.store.commit(&state, serial).await?;
        Ok(())
    }

    /// Where a secret stands that should stand nowhere: in what is recorded, or in what was told.
    pub async fn leaks(&self) -> Result<Vec<String>, Failure> {
        let mut secrets: Vec<(String, String)> =
            self.bench.case.credentials.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        let outputs = self.outputs().await?;
        secrets.extend(outputs.into_iter().map(|(name, value)| (name, value.expose().clone())));
        let recorded = serde_json::to_string(&self.state().await?).unwrap_or_default();
        let told = self.said.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let places = [("its record", recorded), ("what it told", told)];
        let mut found = Vec::new();
        for (place, text) in places {
            let inside =
                secrets.iter().filter(|(_, secret)| secret.len() > 3 && text.contains(secret));
            found.extend(inside.map(|(name, _)| format!("`{name}` stands in {place}")));
        }
        Ok(found)
    }

    fn spoiler(&self, trouble: Option<Trouble>) -> Arc<Spoiler> {
        let Bench { egress, log, clock, .. } = &*self.bench;
        let remembered = self.remembered.clone();
        let spoiler = Spoiler::new(egress.clone(), log.clone(), clock.clone(), remembered, trouble);
        Arc::new(spoiler.among(self.crowd.clone()))
    }

    fn begin(&self, spoiler: &Arc<Spoiler>, kind: RunKind) -> Arc<Run> {
        let ports = Ports {
            provisioners: self.bench.clone(),
            egress: spoiler.clone(),
            vault: self.vault.clone(),
            store: Arc::new(self.store.clone()),
            clock: self.bench.clock.clone(),
            events: self.said.clone(),
        };
        let settings = Settings {
            system: system(),
            environment: environment(),
            overlay: None,
            connections: self.bench.connections(),
            credentials: BTreeMap::new(),
            grants: BTreeMap::new(),
            taken: BTreeMap::new(),
            parallelism: 1,
            budget: Budget::default(),
        };
        let header = DeployHeader {
            id: DeployId::random(),
            run: kind,
            system: system(),
            environment: environment(),
            started_ms: self.bench.clock.now_ms(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            trace_id: None,
        };
        Arc::new(Run::new(ports, settings, header, self.lineage.clone(), Stop::default()))
    }
}

fn system() -> SystemName {
    SystemName::new("conformance").expect("a name")
}

fn environment() -> EnvName {
    EnvName::new(ENVIRONMENT).expect("a name")
}

fn service() -> ServiceId {
    ServiceId::new(SERVICE).expect("an id")
}

fn holder() -> Holder {
    Holder {
        process: std::process::id(),
        host: "this machine".to_owned(),
        command: "ss plugin test".to_owned(),
        since_ms: 0,
    }
}
