//! Finishing what a run that was killed left open, before anything new is decided.
//!
//! The same component, on the same input, with the recorded answers, arrives exactly where it was; from there it
//! goes on for real. Where that is not possible the last checkpoint stands, and the plan takes it from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use ss_core::record::{CallEnd, CallId, CallKind, DeployStatus, Entry, OpenCall, Receipt};
use ss_core::redact::Secret;
use ss_core::state::{Recorded, State};
use ss_gate::call::{ResourceRecord, ServiceInput};
use ss_gate::manifest::ChangePhase;
use ss_ports::{Event, Stored, TapeRecord};

use crate::call::{self, Change, Interrupted};
use crate::failure::Failure;
use crate::run::Run;

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
    for open in &stored.open {
        let record = stored.state.services.get(&open.call.service);
        if finish(run, open, record).await? {
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
async fn close_receipt(run: &Run, deploy: &ss_core::ident::DeployId) -> Result<(), Failure> {
    let receipts = run.ports.store.receipts().await?;
    if let Some(receipt) = receipts
        .into_iter()
        .find(|receipt| receipt.header.id == *deploy && receipt.status == DeployStatus::Running)
    {
        run.ports
            .store
            .put_receipt(&Receipt { status: DeployStatus::Interrupted, ..receipt })
            .await?;
    }
    Ok(())
}

struct Taped {
    service: ServiceInput,
    secrets: Vec<String>,
    recorded: Option<ResourceRecord>,
    records: Vec<TapeRecord>,
}

async fn finish(
    run: &Arc<Run>,
    open: &OpenCall,
    record: Option<&Recorded>,
) -> Result<bool, Failure> {
    let taped = read(run, &open.call).await;
    let provisioner =
        record.and_then(|record| run.ports.provisioners.for_target(&record.provider).ok());
    let (Some(taped), Some(provisioner), Some(record)) = (taped, provisioner, record) else {
        return give_up(run, open, "its tape or its plugin is not at hand").await;
    };
    if provisioner.plugin().pin.digest != open.plugin.digest {
        return give_up(run, open, "its plugin has changed").await;
    }
    let phase = match open.kind {
        CallKind::Create => ChangePhase::Create,
        CallKind::Update => ChangePhase::Update,
        CallKind::Destroy => ChangePhase::Destroy,
        CallKind::Read => return give_up(run, open, "a read leaves nothing to finish").await,
    };
    let approved: BTreeSet<String> =
        provisioner.plugin().manifest.operations_in(phase).into_iter().collect();
    let inputs = taped
        .service
        .inputs
        .iter()
        .zip(&taped.secrets)
        .map(|(input, text)| (input.name.clone(), Secret::new(text.clone())));
    // What the interrupted call had learned is learned again from its tape, so it begins with what it began with.
    let mut draft = record.clone();
    draft.owned = open.before.as_ref().map(|before| before.owned.clone()).unwrap_or_default();
    let change = Change {
        call: CallId { number: open.call.number + 1, ..open.call.clone() },
        kind: open.kind,
        action: open.action,
        provisioner,
        draft,
        recorded: taped.recorded,
        inputs: inputs.collect(),
        approved,
        continues: Some(Interrupted { call: open.call.clone(), records: taped.records }),
    };
    let service = open.call.service.clone();
    run.ports.events.event(Event::Waiting {
        service: service.clone(),
        reason: "finishing an interrupted call".to_owned(),
    });
    match call::change(run, change).await {
        Ok(_) => Ok(true),
        Err(not_changed) => {
            run.ports.events.event(Event::Log { service, message: not_changed.failure.message });
            Ok(false)
        }
    }
}

async fn read(run: &Run, call: &CallId) -> Option<Taped> {
    let mut records = run.ports.store.read_tape(call).await.ok().flatten()?.into_iter();
    let TapeRecord::Call { service, secrets, recorded, .. } = records.next()? else { return None };
    Some(Taped {
        service: *service,
        secrets,
        recorded: recorded.map(|record| *record),
        records: records.collect(),
    })
}

async fn give_up(run: &Run, open: &OpenCall, why: &str) -> Result<bool, Failure> {
    let message = format!("interrupted; not finished from its tape, because {why}");
    let entry = Entry::Outcome { call: open.call.clone(), end: CallEnd::Failed { message } };
    run.ports.store.append(&entry).await?;
    Ok(false)
}
