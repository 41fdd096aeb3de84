//! Finishing what a run that was killed left open, before anything new is decided.
//!
//! The same component, on the same input, with the recorded answers, arrives exactly where it was; from there it
//! goes on for real. Where that is not possible the last checkpoint stands, and the plan takes it from there. What
//! only this machine stands in the way of (a full disk, a missing token) ends the command and leaves the call open.

use std::collections::BTreeSet;
use std::sync::Arc;

use ss_core::ident::DeployId;
use ss_core::ledger;
use ss_core::record::{CallEnd, CallId, CallKind, DeployStatus, Entry, OpenCall, Receipt};
use ss_core::redact::Secret;
use ss_core::state::{Recorded, State};
use ss_gate::call::{ResourceRecord, ServiceInput};
use ss_gate::manifest::ChangePhase;
use ss_ports::{Event, Provisioner, StoreError, Stored, TapeRecord};

use crate::call::{self, Change, Interrupted, NotChanged, Stands};
use crate::failure::Failure;
use crate::run::Run;
use crate::tape::Told;

/// What was found of an unfinished run, and what became of it.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// Calls that were finished from their tapes.
    pub finished: Vec<CallId>,
    /// Calls whose last checkpoint stands instead.
    pub left_to_plan: Vec<CallId>,
}

/// Finishes the open calls and gives the state to plan against.
pub async fn recover(run: &Arc<Run>, stored: Stored) -> Result<(State, Recovered), Failure> {
    let mut recovered = Recovered::default();
    if stored.open.is_empty() && stored.unfinished.is_none() {
        return Ok((stored.state, recovered));
    }
    // Tapes hold credentials that exist nowhere else: without a vault to put them in, they are left alone.
    run.ports.vault.credentials().await?;
    for open in &stored.open {
        if finish(run, open, &stored.state).await? {
            recovered.finished.push(open.call.clone());
        } else {
            recovered.left_to_plan.push(open.call.clone());
        }
        if run.stop.is_stopped() {
            return Err(Failure::new("SS0330", "interrupted"));
        }
    }
    if let Some(header) = stored.unfinished {
        close_receipt(run, &header.id).await?;
    }
    let state = run.ports.store.load().await?.map_or(stored.state, |stored| stored.state);
    Ok((state, recovered))
}

/// The receipt of the run that was killed says so.
async fn close_receipt(run: &Run, deploy: &DeployId) -> Result<(), Failure> {
    let receipts = run.ports.store.receipts().await?;
    let killed = receipts
        .into_iter()
        .find(|receipt| receipt.header.id == *deploy && receipt.status == DeployStatus::Running);
    if let Some(receipt) = killed {
        let receipt = ledger::chained(Receipt { status: DeployStatus::Interrupted, ..receipt });
        run.ports.store.put_receipt(&receipt).await?;
    }
    Ok(())
}

/// `false` when the call could not be finished and is closed.
async fn finish(run: &Arc<Run>, open: &OpenCall, state: &State) -> Result<bool, Failure> {
    let service = open.call.service.clone();
    let Some(record) = state.services.get(&service) else {
        return give_up(run, open, None, "nothing is recorded of it").await;
    };
    let Some(taped) = read(run, &open.call).await? else {
        return give_up(run, open, None, "its tape is not at hand").await;
    };
    let Ok(provisioner) = run.ports.provisioners.for_target(&record.provider) else {
        return give_up(run, open, None, "its plugin is not at hand").await;
    };
    let phase = match open.kind {
        CallKind::Create => ChangePhase::Create,
        CallKind::Update => ChangePhase::Update,
        CallKind::Destroy => ChangePhase::Destroy,
        CallKind::Read => return give_up(run, open, None, "a read leaves nothing to finish").await,
    };
    if provisioner.plugin().pin.digest != open.plugin.digest {
        let known = known(run, open, &*provisioner, record, &taped);
        return give_up(run, open, Some(known), "its plugin has changed").await;
    }
    let reason = "finishing an interrupted call".to_owned();
    run.ports.events.event(Event::Waiting { service: service.clone(), reason });
    let change = change(open, provisioner, record, taped, phase);
    match call::change(run, change).await {
        Ok(_) => Ok(true),
        Err(NotChanged { failure, stands: Stands::Open }) => Err(failure),
        Err(NotChanged { failure, .. }) => {
            run.ports.events.event(Event::Log { service, message: failure.message });
            Ok(false)
        }
    }
}

fn change(
    open: &OpenCall,
    provisioner: Arc<dyn Provisioner>,
    record: &Recorded,
    taped: Taped,
    phase: ChangePhase,
) -> Change {
    let names = taped.service.inputs.into_iter().map(|input| input.name);
    let approved: BTreeSet<String> =
        provisioner.plugin().manifest.operations_in(phase).into_iter().collect();
    Change {
        call: CallId { number: open.call.number + 1, ..open.call.clone() },
        kind: open.kind,
        action: open.action,
        provisioner,
        draft: record.clone(),
        recorded: taped.recorded,
        inputs: names.zip(taped.secrets.into_iter().map(Secret::new)).collect(),
        approved,
        continues: Some(Interrupted { call: open.call.clone(), records: taped.records }),
    }
}

struct Taped {
    service: ServiceInput,
    secrets: Vec<String>,
    recorded: Option<ResourceRecord>,
    records: Vec<TapeRecord>,
}

/// `None` when there is no tape that can be used. One that cannot be read now may be readable tomorrow.
async fn read(run: &Run, call: &CallId) -> Result<Option<Taped>, Failure> {
    let records = match run.ports.store.read_tape(call).await {
        Ok(records) => records.unwrap_or_default(),
        Err(StoreError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut records = records.into_iter();
    let Some(TapeRecord::Call { service, secrets, recorded, .. }) = records.next() else {
        return Ok(None);
    };
    let recorded = recorded.map(|record| *record);
    Ok(Some(Taped { service: *service, secrets, recorded, records: records.collect() }))
}

/// What the tape adds to the record, as the plugin of today reads it; `None` when the call changed nothing.
fn known(
    run: &Run,
    open: &OpenCall,
    provisioner: &dyn Provisioner,
    record: &Recorded,
    taped: &Taped,
) -> Known {
    let mark = call::mark(run, &open.call.service, record);
    let manifest = &provisioner.plugin().manifest;
    let told = Told::read(manifest, &mark, &record.owned, &taped.records);
    if told.wrote {
        Known::Partial(Box::new(told.added_to(record.clone(), run.ports.clock.now_ms())))
    } else {
        Known::Untouched
    }
}

enum Known {
    Untouched,
    Partial(Box<Recorded>),
}

/// Closes a call that cannot be finished from its tape.
async fn give_up(
    run: &Run,
    open: &OpenCall,
    known: Option<Known>,
    why: &str,
) -> Result<bool, Failure> {
    let message = format!("interrupted; not finished from its tape, because {why}");
    let service = open.call.service.clone();
    run.ports.events.event(Event::Log { service, message: message.clone() });
    let call = open.call.clone();
    let end = match known {
        Some(Known::Untouched) => CallEnd::Untouched { message },
        Some(Known::Partial(record)) => {
            let checkpoint = Entry::Checkpoint { call: call.clone(), record };
            run.ports.store.append(&checkpoint).await?;
            CallEnd::Failed { message }
        }
        None => CallEnd::Failed { message },
    };
    run.ports.store.append(&Entry::Outcome { call, end }).await?;
    Ok(false)
}
