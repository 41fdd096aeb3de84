//! Walks a plan: what a service stands on comes first, independent services run side by side.
//!
//! It does what the plan says and decides nothing. A failure stops what stands on it and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::plan::{Action, Apply, Plan, Step};
use ss_core::record::{
    CallEnd, CallId, CallKind, DeployStatus, Entry, Receipt, ServiceReceipt, Snapshot, fold,
};
use ss_core::redact::Secret;
use ss_core::state::{Progress, Recorded, State};
use ss_core::value;
use ss_ports::{Event, StoreError};

use crate::call::{self, Change, Changed, NotChanged};
use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::tokens;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The receipt, as it was written.
    pub receipt: Receipt,
    /// Why services failed, by service.
    pub failures: BTreeMap<ServiceId, Failure>,
    /// Trouble at the end: the state or the receipt could not be written as they should be.
    pub trouble: Option<Failure>,
}

/// Executes a plan that was decided against `state`. The caller holds the store's lease.
pub async fn execute(run: &Arc<Run>, plan: &Plan, state: State) -> Result<Report, Failure> {
    tokens::check_credentials(run, plan).await?;
    let mut walk = Walk::begin(run, plan, state).await?;
    walk.all().await;
    walk.end().await
}

struct Walk<'p> {
    run: Arc<Run>,
    plan: &'p Plan,
    state: Arc<Mutex<State>>,
    serial: u64,
    receipts: BTreeMap<ServiceId, ServiceReceipt>,
    failures: BTreeMap<ServiceId, Failure>,
    open: bool,
}

/// How a step ended, before it is told and written down.
enum StepEnd {
    Done(String),
    Unchanged,
    Failed(Failure),
    Interrupted(Failure),
}

impl<'p> Walk<'p> {
    async fn begin(run: &Arc<Run>, plan: &'p Plan, state: State) -> Result<Self, Failure> {
        let begin = Entry::Begin {
            header: run.header.clone(),
            lineage: state.lineage.clone(),
            serial: state.serial,
        };
        run.ports.store.append(&begin).await?;
        let walk = Self {
            run: run.clone(),
            plan,
            serial: state.serial,
            state: Arc::new(Mutex::new(state)),
            receipts: BTreeMap::new(),
            failures: BTreeMap::new(),
            open: false,
        };
        walk.run.ports.store.put_receipt(&walk.receipt(DeployStatus::Running)).await?;
        Ok(walk)
    }

    async fn all(&mut self) {
        let plan = self.plan;
        let index: BTreeMap<&ServiceId, usize> =
            plan.steps.iter().enumerate().map(|(at, step)| (&step.service, at)).collect();
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); plan.steps.len()];
        let mut waiting: Vec<usize> = vec![0; plan.steps.len()];
        for (at, step) in plan.steps.iter().enumerate() {
            for before in step.after.iter().filter_map(|id| index.get(id)) {
                dependents[*before].push(at);
                waiting[at] += 1;
            }
        }
        let mut ready: VecDeque<usize> =
            (0..plan.steps.len()).filter(|at| waiting[*at] == 0).collect();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.run.settings.parallelism.max(1)
                && let Some(at) = ready.pop_front()
            {
                if self.settles_at_once(&plan.steps[at]) {
                    release(&dependents[at], &mut waiting, &mut ready);
                } else {
                    running.push(one(self.run.clone(), self.state.clone(), &plan.steps[at], at));
                }
            }
            let Some((at, end, duration_ms)) = running.next().await else { break };
            self.settle(&plan.steps[at], end, duration_ms);
            release(&dependents[at], &mut waiting, &mut ready);
        }
    }

    /// Steps that need no call: unchanged, skipped, blocked, or left undone because the run is to stop.
    fn settles_at_once(&mut self, step: &Step) -> bool {
        let undone = |walk: &Self, id: &ServiceId| {
            walk.receipts.get(id).is_some_and(|receipt| {
                matches!(receipt.status.as_str(), "failed" | "blocked" | "interrupted")
            })
        };
        if step.action == Action::Skip {
            self.note(step, "skipped", step.summary.clone(), None, 0);
        } else if step.action == Action::Unchanged && !step.if_inputs_change {
            self.note(step, "unchanged", "unchanged".to_owned(), None, 0);
        } else if let Some(by) = step.after.iter().find(|id| undone(self, id)).cloned() {
            self.run
                .ports
                .events
                .event(Event::Blocked { service: step.service.clone(), by: by.clone() });
            self.note(step, "blocked", format!("waits for `{by}`"), None, 0);
        } else if self.run.stop.is_stopped() {
            self.note(step, "interrupted", "not begun".to_owned(), None, 0);
        } else {
            return false;
        }
        true
    }

    fn settle(&mut self, step: &Step, end: StepEnd, duration_ms: u64) {
        match end {
            StepEnd::Done(summary) => self.note(step, "completed", summary, None, duration_ms),
            StepEnd::Unchanged => {
                self.note(step, "unchanged", "unchanged".to_owned(), None, duration_ms)
            }
            StepEnd::Failed(failure) => {
                self.note(
                    step,
                    "failed",
                    String::new(),
                    Some(failure.message.clone()),
                    duration_ms,
                );
                self.failures.insert(step.service.clone(), failure);
            }
            StepEnd::Interrupted(failure) => {
                self.open = true;
                let status = if self.run.stop.is_stopped() { "interrupted" } else { "failed" };
                self.note(step, status, String::new(), Some(failure.message.clone()), duration_ms);
                if status == "failed" {
                    self.failures.insert(step.service.clone(), failure);
                }
            }
        }
    }

    fn note(
        &mut self,
        step: &Step,
        status: &str,
        summary: String,
        error: Option<String>,
        duration_ms: u64,
    ) {
        self.receipts.insert(
            step.service.clone(),
            ServiceReceipt {
                service: step.service.clone(),
                kind: step.kind.clone(),
                action: step.action,
                status: status.to_owned(),
                duration_ms,
                summary,
                error,
            },
        );
    }

    fn receipt(&self, status: DeployStatus) -> Receipt {
        let ended = status != DeployStatus::Running;
        Receipt {
            version: 1,
            header: self.run.header.clone(),
            status,
            ended_ms: ended.then(|| self.run.ports.clock.now_ms()),
            services: self
                .plan
                .steps
                .iter()
                .filter_map(|step| self.receipts.get(&step.service))
                .cloned()
                .collect(),
            requests: self.run.requests(),
            counts: self.run.counts(),
            serial: self.serial,
        }
    }

    async fn end(mut self) -> Result<Report, Failure> {
        let interrupted = self.run.stop.is_stopped()
            && self.receipts.values().any(|receipt| receipt.status == "interrupted");
        let failed = self
            .receipts
            .values()
            .any(|receipt| matches!(receipt.status.as_str(), "failed" | "blocked"));
        let status = match (interrupted, failed) {
            (true, _) => DeployStatus::Interrupted,
            (false, true) => DeployStatus::Failed,
            (false, false) => DeployStatus::Completed,
        };
        let trouble = self.close(status).await.err();
        Ok(Report { receipt: self.receipt(status), failures: self.failures, trouble })
    }

    async fn close(&mut self, status: DeployStatus) -> Result<(), Failure> {
        let store = self.run.ports.store.clone();
        if !self.open {
            let mut state = lock(&self.state).clone();
            state.deploy = Some(self.run.header.id.clone());
            store.append(&Entry::End { deploy: self.run.header.id.clone(), status }).await?;
            self.serial = store.commit(&state, self.serial).await?;
            state.serial = self.serial;
            let credentials = self.sealed_credentials().await?;
            let deploy = self.run.header.id.clone();
            store.put_snapshot(&Snapshot { version: 1, deploy, state, credentials }).await?;
        }
        // With a call left open the journal stays as it is: the next run needs it to go on.
        store.put_receipt(&self.receipt(status)).await.map_err(|error: StoreError| error.into())
    }

    async fn sealed_credentials(&self) -> Result<Vec<u8>, Failure> {
        let all = self.run.ports.vault.credentials().await?;
        let plain: serde_json::Map<String, Value> = all
            .iter()
            .map(|(service, values)| {
                let values = values
                    .iter()
                    .map(|(name, secret)| (name.clone(), Value::String(secret.expose().clone())));
                (service.clone(), Value::Object(values.collect()))
            })
            .collect();
        let plain = zeroize::Zeroizing::new(Value::Object(plain).to_string().into_bytes());
        Ok(self.run.ports.vault.seal(&plain).await?)
    }
}

fn release(dependents: &[usize], waiting: &mut [usize], ready: &mut VecDeque<usize>) {
    for at in dependents {
        waiting[*at] -= 1;
        if waiting[*at] == 0 {
            ready.push_back(*at);
        }
    }
}

async fn one(
    run: Arc<Run>,
    state: Arc<Mutex<State>>,
    step: &Step,
    at: usize,
) -> (usize, StepEnd, u64) {
    let begun = run.ports.clock.now_ms();
    let end = perform(&run, &state, step).await;
    let duration_ms = u64::try_from(run.ports.clock.now_ms() - begun).unwrap_or(0);
    let result = match &end {
        StepEnd::Done(summary) => Some(Ok(summary.clone())),
        StepEnd::Unchanged => None,
        StepEnd::Failed(failure) | StepEnd::Interrupted(failure) => {
            Some(Err(failure.message.clone()))
        }
    };
    if let Some(result) = result {
        run.ports.events.event(Event::Finished {
            service: step.service.clone(),
            action: step.action,
            result,
            duration_ms,
        });
    }
    (at, end, duration_ms)
}

async fn perform(run: &Arc<Run>, state: &Mutex<State>, step: &Step) -> StepEnd {
    let before = lock(state).services.get(&step.service).cloned();
    let started = |action| {
        run.ports.events.event(Event::Started {
            service: step.service.clone(),
            provider: step.kind.clone(),
            action,
        });
    };
    let result = match (&step.wanted, step.action) {
        (Some(apply), Action::Unchanged) => match inputs_changed(run, apply, before.as_ref()).await
        {
            Ok(false) => return StepEnd::Unchanged,
            Ok(true) => {
                started(Action::Update);
                let step = Step { operations: apply.update_operations.clone(), ..step.clone() };
                apply_step(run, state, &step, apply, before, 0).await
            }
            Err(failure) => Err(failure.into()),
        },
        (Some(apply), Action::Replace) => {
            started(step.action);
            match destroy(run, state, step, before.as_ref(), Action::Replace).await {
                Ok(_) => apply_step(run, state, step, apply, None, 1).await,
                Err(failure) => Err(failure),
            }
        }
        (Some(apply), _) => {
            started(step.action);
            apply_step(run, state, step, apply, before, 0).await
        }
        (None, _) => {
            started(step.action);
            destroy(run, state, step, before.as_ref(), Action::Destroy).await
        }
    };
    match result {
        Ok(summary) => StepEnd::Done(summary),
        Err(NotChanged { failure, open: true }) => StepEnd::Interrupted(failure),
        Err(NotChanged { failure, open: false }) => StepEnd::Failed(failure),
    }
}

async fn inputs_changed(
    run: &Run,
    apply: &Apply,
    before: Option<&Recorded>,
) -> Result<bool, Failure> {
    let inputs = inputs(run, apply).await?;
    let digests = input_digests(run, &inputs).await?;
    Ok(before.is_none_or(|record| record.inputs != digests))
}

async fn apply_step(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
    apply: &Apply,
    before: Option<Recorded>,
    number: u32,
) -> Result<String, NotChanged> {
    let provisioner = run
        .ports
        .provisioners
        .for_target(&step.kind)
        .map_err(|error| Failure::new("SS0301", error.to_string()))?;
    if provisioner.plugin().pin.digest != apply.plugin.digest {
        return Err(Failure::new(
            "SS0302",
            format!("the plan is for another build of `{}`", apply.plugin.name),
        )
        .hint("plan again")
        .into());
    }
    let inputs = inputs(run, apply).await?;
    let retired = lock(state).retired.get(&step.service).copied().unwrap_or(0);
    let generation = before.as_ref().map_or(retired, |record| record.generation);
    let recorded = before.as_ref().and_then(call::resource);
    let draft = Recorded {
        provider: step.kind.clone(),
        plugin: apply.plugin.clone(),
        resource_id: before.as_ref().and_then(|record| record.resource_id.clone()),
        url: before.as_ref().and_then(|record| record.url.clone()),
        region: apply.target.get("region").and_then(Value::as_str).map(str::to_owned),
        attributes: before.as_ref().map_or(Value::Null, |record| record.attributes.clone()),
        schema: before.as_ref().map_or(1, |record| record.schema),
        target: apply.target.clone(),
        config_digest: config_digest(apply),
        inputs: input_digests(run, &inputs).await?,
        outputs: before.as_ref().map(|record| record.outputs.clone()).unwrap_or_default(),
        depends_on: apply.depends_on.clone(),
        owned: before.as_ref().map(|record| record.owned.clone()).unwrap_or_default(),
        protect: apply.protect,
        data: apply.data,
        generation,
        progress: Progress::Partial,
        provisioned_at: call::timestamp(run.ports.clock.now_ms()),
    };
    let change = Change {
        call: call_id(run, &step.service, number),
        kind: if recorded.is_some() { CallKind::Update } else { CallKind::Create },
        action: step.action,
        provisioner,
        draft,
        recorded,
        inputs,
        approved: step.operations.iter().cloned().collect(),
        continues: None,
    };
    let id = change.call.clone();
    match call::change(run, change).await {
        Ok(Changed::Applied { record, outputs, summary }) => {
            tell_outputs(run, step, &outputs);
            remember(state, &id, CallEnd::Done { record });
            Ok(summary)
        }
        Ok(Changed::Destroyed) => unreachable!("an apply does not destroy"),
        Err(not_changed) => Err(keep(run, state, &step.service, not_changed).await),
    }
}

/// What the journal knows of a failed call goes into the state of the run: a checkpoint, or the record from before.
async fn keep(
    run: &Run,
    state: &Mutex<State>,
    service: &ServiceId,
    not_changed: NotChanged,
) -> NotChanged {
    if let Ok(Some(mut stored)) = run.ports.store.load().await {
        let known = stored.state.services.remove(service);
        let services = &mut lock(state).services;
        match known {
            Some(record) => services.insert(service.clone(), record),
            None => services.remove(service),
        };
    }
    not_changed
}

fn remember(state: &Mutex<State>, call: &CallId, end: CallEnd) {
    let mut state = lock(state);
    let empty = State::empty(state.lineage.clone());
    let before = std::mem::replace(&mut *state, empty);
    *state = fold(before, &[Entry::Outcome { call: call.clone(), end }]).state;
}

fn tell_outputs(run: &Run, step: &Step, outputs: &BTreeMap<String, Secret>) {
    if outputs.is_empty() {
        return;
    }
    // Names that another service takes are what the user waits for; without one, all are worth a word.
    let taken: Vec<&str> = outputs
        .keys()
        .map(String::as_str)
        .filter(|name| {
            run.settings.taken.get(&step.service).is_some_and(|names| names.contains(*name))
        })
        .collect();
    let names = if taken.is_empty() { outputs.keys().map(String::as_str).collect() } else { taken };
    let message = format!("{} written to vault", names.join(", "));
    run.ports.events.event(Event::Step { service: step.service.clone(), message });
}

async fn destroy(
    run: &Arc<Run>,
    state: &Mutex<State>,
    step: &Step,
    before: Option<&Recorded>,
    action: Action,
) -> Result<String, NotChanged> {
    let Some(record) = before else { return Ok("was not there".to_owned()) };
    let provisioner = run.ports.provisioners.for_target(&record.provider).map_err(|error| {
        Failure::new("SS0301", error.to_string())
            .hint("the plugin that made it is needed to remove it")
    })?;
    let approved =
        provisioner.plugin().manifest.operations_in(ss_gate::manifest::ChangePhase::Destroy);
    let change = Change {
        call: call_id(run, &step.service, 0),
        kind: CallKind::Destroy,
        action,
        draft: record.clone(),
        recorded: call::resource(record),
        inputs: Vec::new(),
        approved: approved.into_iter().collect(),
        continues: None,
        provisioner,
    };
    let id = change.call.clone();
    match call::change(run, change).await {
        Ok(_) => {
            remember(state, &id, CallEnd::Gone);
            Ok("destroyed".to_owned())
        }
        Err(not_changed) => Err(keep(run, state, &step.service, not_changed).await),
    }
}

fn call_id(run: &Run, service: &ServiceId, number: u32) -> CallId {
    CallId { deploy: run.header.id.clone(), service: service.clone(), number }
}

fn config_digest(apply: &Apply) -> String {
    let names: BTreeSet<String> =
        apply.inputs.iter().map(|input| format!("{}.{}", input.source, input.name)).collect();
    value::digest(&serde_json::json!({"target": apply.target, "inputs": names}))
}

/// The injected values, read from the vault at the last moment.
pub(crate) async fn inputs(run: &Run, apply: &Apply) -> Result<Vec<(String, Secret)>, Failure> {
    if apply.inputs.is_empty() {
        return Ok(Vec::new());
    }
    let credentials = run.ports.vault.credentials().await?;
    apply
        .inputs
        .iter()
        .map(|input| {
            let found =
                credentials.get(input.source.as_str()).and_then(|names| names.get(&input.name));
            found.map(|secret| (input.name.clone(), secret.clone())).ok_or_else(|| {
                Failure::new(
                    "SS0303",
                    format!("`{}` has not written `{}` to the vault", input.source, input.name),
                )
                .hint(format!(
                    "deploy `{}` from a machine that has its credentials, or replace it",
                    input.source
                ))
            })
        })
        .collect()
}

pub(crate) async fn input_digests(
    run: &Run,
    inputs: &[(String, Secret)],
) -> Result<BTreeMap<String, String>, Failure> {
    if inputs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = run.ports.vault.digest_key().await?;
    Ok(inputs
        .iter()
        .map(|(name, secret)| (name.clone(), value::keyed_digest(key.expose(), secret.expose())))
        .collect())
}
