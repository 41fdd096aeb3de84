//! Walks a plan: what a service stands on comes first, independent services run side by side.
//!
//! It does what the plan says and decides nothing. A failure stops what stands on it and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ss_core::ident::ServiceId;
use ss_core::ledger;
use ss_core::plan::{Action, Plan, Step};
use ss_core::record::{DeployStatus, Entry, Receipt, ServiceReceipt};
use ss_core::state::State;
use ss_ports::{Event, StoreError};

use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::snapshot;
use crate::step::{Performed, StepEnd, perform};
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
    tokens::check_credentials(run, plan, &state).await?;
    let mut walk = Walk::begin(run, plan, state).await?;
    walk.all().await;
    Ok(walk.end().await)
}

struct Walk<'p> {
    run: Arc<Run>,
    plan: &'p Plan,
    state: Arc<Mutex<State>>,
    serial: u64,
    receipts: BTreeMap<ServiceId, ServiceReceipt>,
    failures: BTreeMap<ServiceId, Failure>,
    /// Whether a call stays open, for the next run to finish.
    open: bool,
}

impl<'p> Walk<'p> {
    async fn begin(run: &Arc<Run>, plan: &'p Plan, mut state: State) -> Result<Self, Failure> {
        note_unchanged(plan, &mut state);
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
        let steps = &self.plan.steps;
        let run = self.run.clone();
        let (dependents, mut waiting) = dependencies(self.plan);
        let mut ready: VecDeque<usize> = (0..steps.len()).filter(|at| waiting[*at] == 0).collect();
        let state = self.state.clone();
        let one = async |at: usize| (at, perform(&run, &state, &steps[at]).await);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.run.settings.parallelism.max(1)
                && let Some(at) = ready.pop_front()
            {
                if self.settles_at_once(&steps[at]) {
                    release(&dependents[at], &mut waiting, &mut ready);
                } else {
                    running.push(one(at));
                }
            }
            let Some((at, performed)) = running.next().await else { break };
            self.settle(&steps[at], performed);
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
            let service = step.service.clone();
            self.run.ports.events.event(Event::Blocked { service, by: by.clone() });
            self.note(step, "blocked", format!("waits for `{by}`"), None, 0);
        } else if self.run.stop.is_stopped() {
            self.note(step, "interrupted", "not begun".to_owned(), None, 0);
        } else {
            return false;
        }
        true
    }

    fn settle(&mut self, step: &Step, performed: Performed) {
        let Performed { action, end, duration_ms } = performed;
        let step = &Step { action, ..step.clone() };
        let (status, failure) = match end {
            StepEnd::Done(summary) => {
                return self.note(step, "completed", summary, None, duration_ms);
            }
            StepEnd::Unchanged => {
                return self.note(step, "unchanged", "unchanged".to_owned(), None, duration_ms);
            }
            StepEnd::Failed(failure) => ("failed", failure),
            StepEnd::Interrupted(failure) => {
                self.open = true;
                (if self.run.stop.is_stopped() { "interrupted" } else { "failed" }, failure)
            }
        };
        self.note(step, status, String::new(), Some(failure.message.clone()), duration_ms);
        if status == "failed" {
            self.failures.insert(step.service.clone(), failure);
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
        let steps = self.plan.steps.iter();
        ledger::chained(Receipt {
            version: 1,
            header: self.run.header.clone(),
            status,
            ended_ms: ended.then(|| self.run.ports.clock.now_ms()),
            services: steps.filter_map(|step| self.receipts.get(&step.service)).cloned().collect(),
            requests: self.run.requests(),
            counts: self.run.counts(),
            serial: self.serial,
            chain: Vec::new(),
        })
    }

    fn status(&self) -> DeployStatus {
        let any = |statuses: &[&str]| {
            self.receipts.values().any(|receipt| statuses.contains(&receipt.status.as_str()))
        };
        if self.run.stop.is_stopped() && any(&["interrupted"]) {
            DeployStatus::Interrupted
        } else if any(&["failed", "blocked"]) {
            DeployStatus::Failed
        } else {
            DeployStatus::Completed
        }
    }

    async fn end(mut self) -> Report {
        let status = self.status();
        let trouble = self.close(status).await.err();
        Report { receipt: self.receipt(status), failures: self.failures, trouble }
    }

    async fn close(&mut self, status: DeployStatus) -> Result<(), Failure> {
        let store = self.run.ports.store.clone();
        if self.open {
            // The journal stays as it is: the next run needs it to go on.
            return Ok(store.put_receipt(&self.receipt(status)).await?);
        }
        // Receipt and snapshot are whole before the commit ends the journal: a run that is killed in between is one
        // that ended.
        let serial = self.serial;
        self.serial = serial + 1;
        let state = State {
            serial: self.serial,
            deploy: Some(self.run.header.id.clone()),
            ..lock(&self.state).clone()
        };
        let kept = snapshot::keep(&self.run, state.clone()).await;
        if let Err(error) = self.tell_and_commit(status, &state, serial).await {
            self.serial = serial;
            // Its own failure is the one to tell; the journal still has everything.
            let _ = store.put_receipt(&self.receipt(status)).await;
            return Err(error.into());
        }
        kept
    }

    /// Without its receipt no run is committed: it would go on forever, for all that receipts say.
    async fn tell_and_commit(
        &self,
        status: DeployStatus,
        state: &State,
        expected: u64,
    ) -> Result<(), StoreError> {
        let store = &self.run.ports.store;
        self.run.check_lease()?;
        store.put_receipt(&self.receipt(status)).await?;
        store.commit(state, expected).await.map(drop)
    }
}

/// What the configuration says of an unchanged service without asking its vendor: its protection, and what it
/// stands on. `true` when the records did not say so yet.
pub fn note_unchanged(plan: &Plan, state: &mut State) -> bool {
    let mut noted = false;
    for step in plan.steps.iter().filter(|step| step.action == Action::Unchanged) {
        let (Some(apply), Some(record)) = (&step.wanted, state.services.get_mut(&step.service))
        else {
            continue;
        };
        if record.protect != apply.protect || record.depends_on != apply.depends_on {
            record.protect = apply.protect;
            record.depends_on.clone_from(&apply.depends_on);
            noted = true;
        }
    }
    noted
}

/// The steps that wait for each step, and for how many each waits.
fn dependencies(plan: &Plan) -> (Vec<Vec<usize>>, Vec<usize>) {
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
    (dependents, waiting)
}

fn release(dependents: &[usize], waiting: &mut [usize], ready: &mut VecDeque<usize>) {
    for at in dependents {
        waiting[*at] -= 1;
        if waiting[*at] == 0 {
            ready.push_back(*at);
        }
    }
}
