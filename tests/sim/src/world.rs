//! A life: acts one after the other, and after each what must always be true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use ss_core::ident::{DeployId, EnvName, ServiceId, SystemName};
use ss_core::plan::{Action, Allowed, Desired, Injection, Plan, Question, Wanted, decide, destroy};
use ss_core::record::{DeployHeader, DeployStatus, RunKind};
use ss_core::state::{Progress, Recorded, State, mark};
use ss_core::value::keyed_digest;
use ss_engine::{
    Failure, Observed, Ports, Run, Settings, execute, note_unchanged, observe, recover, roll_back,
};
use ss_gate::decide::Budget;
use ss_ports::{Holder, StateStore, Vault};
use ss_testkit::{MemoryVault, sample};
use tempfile::TempDir;

use crate::case::{Act, Case, Fault, Meddling, Wish};
use crate::cloud::{Cloud, Thing};
use crate::points::{Course, Points};
use crate::ports::{CourseClock, Silence, SteppedVault, Wire};
use crate::store::{Place, SteppedStore};
use crate::thing::{OUTPUT, Things};

const LINEAGE: &str = "lineage-1";
const ENVIRONMENT: &str = "prod";
/// Runs that are kept.
const KEPT: usize = 4;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Which, in words.
    pub what: String,
    /// Every step up to there.
    pub trace: Vec<String>,
}

/// A life in which every promise was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Lived {
    /// Every step.
    pub trace: Vec<String>,
    /// Runs that died.
    pub deaths: usize,
}

/// Lives a case.
pub fn live(case: &Case) -> Result<Lived, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(case);
        let lived = world.lives(case).await;
        let trace = world.course.trace();
        match lived {
            Ok(()) => Ok(Lived { trace, deaths: world.deaths }),
            Err(what) => Err(Broken { what, trace }),
        }
    })
}

/// What a run is to do.
#[derive(Clone, Copy)]
enum Job<'j> {
    Deploy { refresh: bool },
    Destroy,
    RollBack(&'j DeployId),
}

/// How a run ended.
#[derive(Debug)]
enum Ended {
    Died,
    Locked,
    #[expect(dead_code, reason = "`Debug` tells it")]
    Failed(String),
    Nothing,
    Over(DeployStatus),
}

struct World {
    _folder: TempDir,
    place: Place,
    cloud: Arc<Cloud>,
    vault: Arc<MemoryVault>,
    course: Arc<Course>,
    things: Things,
    wishes: Vec<Wish>,
    deploys: Vec<DeployId>,
    runs: u32,
    deaths: usize,
}

fn folder() -> TempDir {
    // Memory, where there is some: what is tried is the order of writes, not the disk.
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

impl World {
    fn new(case: &Case) -> Self {
        let folder = folder();
        let overlay = folder.path().join("starsystem.prod.yaml");
        fs::write(&overlay, "version: \"2\"\nenvironment: prod\n").expect("it can be written");
        let place = Place { directory: folder.path().join("store"), overlay };
        Self {
            _folder: folder,
            place,
            cloud: Arc::new(Cloud::new(case.lag_ms)),
            vault: Arc::new(MemoryVault::with_tokens([("thing.token", "tok-9f8e7d6c5b4a")])),
            course: Course::new(case.seed),
            things: Things::new(),
            wishes: case.wishes.clone(),
            deploys: Vec::new(),
            runs: 0,
            deaths: 0,
        }
    }

    async fn lives(&mut self, case: &Case) -> Result<(), String> {
        for act in &case.acts {
            self.course.note("life", &format!("{act:?}"));
            self.acts(act).await?;
            self.keeps_its_promises().await?;
            self.recovers_once().await?;
        }
        self.drift_tells_the_truth().await?;
        self.converges().await?;
        self.course.note("life", "destroy");
        let ended = self.runs(Job::Destroy, &[]).await;
        self.keeps_its_promises().await?;
        let things = self.cloud.things();
        match ended {
            Ended::Over(DeployStatus::Completed) | Ended::Nothing if things.is_empty() => Ok(()),
            ended => Err(format!("destroy: {ended:?}, and there is {things:?}")),
        }
    }

    async fn acts(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Deploy { refresh, faults } => {
                self.runs(Job::Deploy { refresh: *refresh }, faults).await;
            }
            Act::Together { later_ms, service, faults } => {
                self.together(*later_ms, *service, faults).await;
            }
            Act::Destroy { faults } => {
                self.runs(Job::Destroy, faults).await;
            }
            Act::RollBack { to, faults } if !self.deploys.is_empty() => {
                let id = self.deploys[to % self.deploys.len()].clone();
                self.runs(Job::RollBack(&id), faults).await;
            }
            Act::RollBack { .. } => {}
            Act::Resize(service, size) => {
                if let Some(wish) = self.wishes.get_mut(*service) {
                    wish.size = *size;
                }
            }
            Act::Move(service, region) => {
                if let Some(wish) = self.wishes.get_mut(*service) {
                    wish.region = *region;
                }
            }
            Act::Toggle(service) => {
                if let Some(wish) = self.wishes.get_mut(*service) {
                    wish.is_wanted = !wish.is_wanted;
                }
            }
            Act::Meddle(number, meddling) => self.cloud.meddle(|things| {
                let id = things.keys().nth(number % things.len().max(1)).cloned();
                let Some(id) = id else { return };
                match (meddling, things.get_mut(&id)) {
                    (Meddling::Resizes, Some(thing)) => thing.size = json!(99),
                    (Meddling::Resets, Some(thing)) => thing.password.push_str("-reset"),
                    _ => drop(things.remove(&id)),
                }
            }),
            Act::SetClock(seconds) => self.course.set_clock(*seconds),
        }
        Ok(())
    }

    /// One run, from the lock to its end or death.
    async fn runs(&mut self, job: Job<'_>, faults: &[Fault]) -> Ended {
        let points = self.begins(faults);
        let (ended, id) = self.run(&points, job).await;
        self.ends(ended, id)
    }

    fn begins(&mut self, faults: &[Fault]) -> Arc<Points> {
        self.runs += 1;
        Points::new(&self.course, &format!("run {}", self.runs), faults)
    }

    fn ends(&mut self, ended: Ended, id: DeployId) -> Ended {
        self.course.note("life", &format!("{ended:?}"));
        match &ended {
            Ended::Died => self.deaths += 1,
            Ended::Over(DeployStatus::Completed) => self.deploys.push(id),
            _ => {}
        }
        ended
    }

    /// Two runs, the second of which wants something else and tries until it gets the lock.
    async fn together(&mut self, later_ms: u64, service: usize, faults: &[Vec<Fault>; 2]) {
        let [first, second] = [self.begins(&faults[0]), self.begins(&faults[1])];
        let before = self.wishes.clone();
        let mut after = before.clone();
        if let Some(wish) = after.get_mut(service) {
            wish.size += 10;
        }
        let job = Job::Deploy { refresh: false };
        let world = &*self;
        let one = world.run_wishing(&first, job, &before);
        let other = async {
            tokio::time::sleep(Duration::from_millis(later_ms)).await;
            loop {
                match world.run_wishing(&second, job, &after).await {
                    (Ended::Locked, _) => tokio::time::sleep(Duration::from_secs(1)).await,
                    ended => break ended,
                }
            }
        };
        let (one, other) = tokio::join!(one, other);
        self.wishes = after;
        for (ended, id) in [one, other] {
            self.ends(ended, id);
        }
    }

    async fn run(&self, points: &Arc<Points>, job: Job<'_>) -> (Ended, DeployId) {
        self.run_wishing(points, job, &self.wishes).await
    }

    async fn run_wishing(
        &self,
        points: &Arc<Points>,
        job: Job<'_>,
        wishes: &[Wish],
    ) -> (Ended, DeployId) {
        let run = self.new_run(points);
        let id = run.header.id.clone();
        let ended = tokio::select! {
            biased;
            () = points.dead() => Ended::Died,
            ended = self.works(&run, job, wishes) => match ended {
                Ok(ended) => ended,
                Err(failure) if failure.code == "SS0401" => Ended::Locked,
                Err(failure) => Ended::Failed(format!("{} {failure}", failure.code)),
            },
        };
        (ended, id)
    }

    /// What the command line does, without its words.
    async fn works(&self, run: &Arc<Run>, job: Job<'_>, wishes: &[Wish]) -> Result<Ended, Failure> {
        let store = run.ports.store.clone();
        let lease = store.lock(holder()).await?;
        let stored = store.load().await?;
        let unfinished = stored
            .as_ref()
            .is_some_and(|found| found.unfinished.is_some() || !found.open.is_empty());
        let mut state = match stored {
            Some(stored) => recover(run, stored).await?.0,
            None => State::empty(LINEAGE),
        };
        let plan = match job {
            Job::RollBack(id) => {
                let Some(snapshot) = store.snapshot(id).await? else { return Ok(Ended::Nothing) };
                let receipt = roll_back(run, state, &snapshot).await?.receipt;
                return Ok(Ended::Over(receipt.status));
            }
            Job::Destroy => destroy(&system(), &environment(), &state, None),
            Job::Deploy { refresh } => {
                if refresh {
                    state = refreshed(run, state).await?;
                }
                self.plan(&state, wishes).await
            }
        };
        let conditional = plan.steps.iter().any(|step| step.if_inputs_change);
        let noted = note_unchanged(&plan, &mut state);
        if plan.is_empty() && !unfinished && !conditional && !noted {
            return Ok(Ended::Nothing);
        }
        let report = execute(run, &plan, state).await?;
        if let Some(trouble) = report.trouble {
            return Err(trouble);
        }
        // As on the command line: what is kept for too long harms nobody.
        let _ = store.prune(KEPT).await;
        drop(lease);
        Ok(Ended::Over(report.receipt.status))
    }

    fn new_run(&self, points: &Arc<Points>) -> Arc<Run> {
        let vault = Arc::new(SteppedVault { inner: self.vault.clone(), points: points.clone() });
        let store = SteppedStore {
            inner: self.place.open(vault.clone()),
            place: self.place.clone(),
            points: points.clone(),
        };
        let ports = Ports {
            provisioners: Arc::new(self.things.clone()),
            egress: Arc::new(Wire { cloud: self.cloud.clone(), points: points.clone() }),
            vault,
            store: Arc::new(store),
            clock: Arc::new(CourseClock(self.course.clone())),
            events: Arc::new(Silence),
        };
        let number = {
            let mut rng = self.course.rng();
            rng.u32(..)
        };
        let header = DeployHeader {
            id: sample::deploy(number),
            run: RunKind::Deploy,
            system: system(),
            environment: environment(),
            started_ms: self.course.wall_ms(),
            tool: "0.1.0".to_owned(),
            trace_id: None,
        };
        Arc::new(Run::new(ports, settings(), header, LINEAGE.to_owned(), points.stop.clone()))
    }

    async fn plan(&self, state: &State, wishes: &[Wish]) -> Plan {
        let credentials = self.vault.credentials().await.expect("readable");
        let key = self.vault.digest_key().await.expect("readable");
        let digests = credentials
            .into_iter()
            .map(|(service, names)| {
                let digest =
                    |secret: &ss_core::redact::Secret| keyed_digest(key.expose(), secret.expose());
                let names = names.iter().map(|(name, secret)| (name.clone(), digest(secret)));
                (service, names.collect())
            })
            .collect();
        let ids: BTreeSet<ServiceId> = state.services.keys().cloned().collect();
        decide(&Question {
            system: &system(),
            environment: &environment(),
            desired: &self.desired(wishes),
            state,
            digests: &digests,
            allowed: &Allowed { replace: ids.clone(), destroy: ids },
        })
    }

    fn desired(&self, wishes: &[Wish]) -> Vec<Desired> {
        let facts = Arc::new(self.things.facts());
        let wanted = wishes.iter().enumerate().filter(|(_, wish)| wish.is_wanted);
        wanted
            .map(|(at, wish)| {
                let there = wish.after.iter().filter(|(on, _)| wishes[*on].is_wanted);
                let inputs = there
                    .clone()
                    .filter(|(_, takes)| *takes)
                    // Each under a name of its own: the injected ones must not clash.
                    .take(1)
                    .map(|(on, _)| Injection { source: id(*on), name: OUTPUT.to_owned() });
                let fields = json!({"size": wish.size, "region": wish.region});
                Desired {
                    id: id(at),
                    target: Wanted::Target {
                        facts: facts.clone(),
                        fields,
                        inputs: inputs.collect(),
                    },
                    depends_on: there.map(|(on, _)| id(*on)).collect(),
                    protect: None,
                }
            })
            .collect()
    }

    /// What must be true after every act, however it ended.
    async fn keeps_its_promises(&self) -> Result<(), String> {
        if let Some(wrong) = self.cloud.wrong().or_else(|| self.course.stale()) {
            return Err(wrong);
        }
        let store = self.place.open(self.vault.clone());
        let lease = store.lock(holder()).await.map_err(|error| format!("a lock stays: {error}"))?;
        let loaded = store.load().await.map_err(|error| format!("it does not load: {error}"))?;
        drop(lease);
        let receipts = store.receipts().await.map_err(|error| format!("receipts: {error}"))?;
        if !receipts.damaged.is_empty() {
            return Err(format!("damaged: {:?}", receipts.damaged));
        }
        let state = loaded.map_or_else(|| State::empty(LINEAGE), |stored| stored.state);
        let known: BTreeSet<String> =
            state.services.iter().map(|(id, record)| marked(id, record)).collect();
        for (id, thing) in self.cloud.things() {
            if !known.contains(&thing.mark) {
                return Err(format!("an orphan: {id} of {}", thing.mark));
            }
        }
        let plan = destroy(&system(), &environment(), &state, None);
        let gone = plan.steps.iter().filter(|step| step.action == Action::Destroy).count();
        if gone != state.services.len() || !plan.refused.is_empty() {
            return Err(format!("it cannot be destroyed: {plan:?}"));
        }
        Ok(())
    }

    /// Finishing what was open, a second time, finds nothing to do.
    async fn recovers_once(&mut self) -> Result<(), String> {
        if self.course.rng().u32(..4) != 0 {
            return Ok(());
        }
        let mut states = Vec::new();
        for _ in 0..2 {
            let points = self.begins(&[]);
            let run = self.new_run(&points);
            let told = |failure: Failure| format!("it does not recover: {failure}");
            let store = run.ports.store.clone();
            let _lease = store.lock(holder()).await.map_err(|error| told(error.into()))?;
            let loaded = store.load().await.map_err(|error| told(error.into()))?;
            let Some(stored) = loaded else { return Ok(()) };
            let (state, recovered) = recover(&run, stored).await.map_err(told)?;
            states.push((state, recovered.finished.len(), run.requests().len()));
        }
        match &states[..] {
            [(first, ..), (second, 0, 0)] if first == second => Ok(()),
            _ => Err("finishing an open call twice is not as finishing it once".to_owned()),
        }
    }

    /// What is recorded is there, or drift says that it is not.
    async fn drift_tells_the_truth(&mut self) -> Result<(), String> {
        let points = self.begins(&[]);
        let run = self.new_run(&points);
        let Some(stored) = run.ports.store.load().await.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let things = self.cloud.things();
        for (id, observed) in observe(&run, &stored.state).await {
            let record = &stored.state.services[&id];
            let thing = record.resource_id.as_ref().and_then(|id| things.get(id));
            let is_true = match (&observed, thing) {
                (Observed::Gone, None) => true,
                (Observed::Same, Some(thing)) => thing.size == record.attributes["size"],
                (Observed::Drifted { .. }, Some(_)) => true,
                _ => false,
            };
            if !is_true {
                return Err(format!("drift of {id}: {observed:?}, and there is {thing:?}"));
            }
        }
        Ok(())
    }

    /// One deploy without trouble, and everything is as wanted; a second one has nothing to do.
    async fn converges(&mut self) -> Result<(), String> {
        self.course.note("life", "the last deploy");
        let ended = self.runs(Job::Deploy { refresh: true }, &[]).await;
        if !matches!(ended, Ended::Over(DeployStatus::Completed) | Ended::Nothing) {
            return Err(format!("the last deploy: {ended:?}"));
        }
        self.keeps_its_promises().await?;
        let store = self.place.open(self.vault.clone());
        let stored = store.load().await.map_err(|error| error.to_string())?;
        let Some(stored) = stored else {
            return if self.wishes.iter().any(|wish| wish.is_wanted) {
                Err("nothing is recorded".to_owned())
            } else {
                Ok(())
            };
        };
        if !stored.open.is_empty() || stored.unfinished.is_some() {
            return Err(format!("something is open: {:?}", stored.open));
        }
        self.is_as_wanted(&stored.state).await?;
        let plan = self.plan(&stored.state, &self.wishes).await;
        let receipts = store.receipts().await.map_err(|error| error.to_string())?;
        let running = receipts.into_iter().any(|found| found.status == DeployStatus::Running);
        if !plan.is_empty() || running {
            return Err(format!("a second plan is not empty, or a receipt runs: {plan:?}"));
        }
        Ok(())
    }

    async fn is_as_wanted(&self, state: &State) -> Result<(), String> {
        let things = self.cloud.things();
        let credentials = self.vault.credentials().await.expect("readable");
        let password =
            |id: &ServiceId| Some(credentials.get(id.as_str())?.get(OUTPUT)?.expose().clone());
        let desired = self.desired(&self.wishes);
        if desired.len() != things.len() || desired.len() != state.services.len() {
            let (wanted, recorded) = (desired.len(), state.services.len());
            return Err(format!("{wanted} wanted, {recorded} recorded, and there is {things:?}"));
        }
        for wanted in &desired {
            let Wanted::Target { fields, inputs, .. } = &wanted.target else { continue };
            let record = state.services.get(&wanted.id).ok_or("a service is not recorded")?;
            let thing: Option<&Thing> = record.resource_id.as_ref().and_then(|id| things.get(id));
            let thing = thing.ok_or_else(|| format!("a phantom: {record:?}"))?;
            let env: BTreeMap<&str, String> = inputs
                .iter()
                .filter_map(|input| Some((input.name.as_str(), password(&input.source)?)))
                .collect();
            let is_so = thing.size == fields["size"]
                && thing.region == fields["region"]
                && thing.env == json!(env)
                && thing.mark == marked(&wanted.id, record)
                && record.progress == Progress::Complete
                && password(&wanted.id).as_ref() == Some(&thing.password);
            if !is_so {
                return Err(format!("{} is not as wanted: {thing:?} {record:?}", wanted.id));
            }
        }
        Ok(())
    }
}

/// As the command line does it for `--refresh`.
async fn refreshed(run: &Arc<Run>, mut state: State) -> Result<State, Failure> {
    for (id, observed) in observe(run, &state).await {
        match observed {
            Observed::Same => {}
            Observed::Gone => drop(state.services.remove(&id)),
            Observed::Drifted { .. } => {
                if let Some(record) = state.services.get_mut(&id) {
                    record.progress = Progress::Unverified;
                }
            }
            Observed::Unknown(failure) => return Err(failure),
        }
    }
    Ok(state)
}

fn marked(id: &ServiceId, record: &Recorded) -> String {
    mark(LINEAGE, ENVIRONMENT, id, record.generation)
}

fn id(at: usize) -> ServiceId {
    sample::service(&format!("s{at}"))
}

fn holder() -> Holder {
    sample::holder()
}

fn system() -> SystemName {
    SystemName::new("my-app").expect("a valid name")
}

fn environment() -> EnvName {
    EnvName::new(ENVIRONMENT).expect("a valid name")
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
        parallelism: 8,
        budget: Budget::default(),
    }
}
