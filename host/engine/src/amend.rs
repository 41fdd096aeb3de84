//! Runs that change what is recorded and nothing else: no vendor is asked to change anything.

use std::collections::BTreeMap;

use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::ledger;
use ss_core::plan::Action;
use ss_core::record::{DeployStatus, Entry, Receipt, ServiceReceipt};
use ss_core::schema::immutable_paths;
use ss_core::state::{Recorded, State};
use ss_core::value::Difference;
use ss_gate::manifest::Manifest;

use crate::failure::Failure;
use crate::observe::Observed;
use crate::run::Run;
use crate::snapshot;

/// The beginning of such a run: from here on a kill leaves a trace.
pub(crate) async fn begin(run: &Run, state: &State) -> Result<(), Failure> {
    let header = run.header.clone();
    let (lineage, serial) = (state.lineage.clone(), state.serial);
    run.ports.store.append(&Entry::Begin { header, lineage, serial }).await?;
    let receipt = receipt(run, DeployStatus::Running, Vec::new(), serial);
    Ok(run.ports.store.put_receipt(&receipt).await?)
}

/// The end of it: receipt, then the state that counts from now on. `state` has the serial that the run began with.
pub(crate) async fn commit(
    run: &Run,
    state: State,
    status: DeployStatus,
    services: Vec<ServiceReceipt>,
) -> Result<Receipt, Failure> {
    let began = state.serial;
    let state = State { deploy: Some(run.header.id.clone()), ..state };
    let receipt = receipt(run, status, services, began + 1);
    run.check_lease()?;
    run.ports.store.put_receipt(&receipt).await?;
    run.ports.store.commit(&state, began).await?;
    Ok(receipt)
}

fn receipt(run: &Run, status: DeployStatus, services: Vec<ServiceReceipt>, serial: u64) -> Receipt {
    let ended = status != DeployStatus::Running;
    ledger::chained(Receipt {
        version: 1,
        header: run.header.clone(),
        status,
        ended_ms: ended.then(|| run.ports.clock.now_ms()),
        services,
        requests: run.requests(),
        counts: run.counts(),
        serial,
        chain: Vec::new(),
    })
}

/// What a receipt says of a service whose record was changed, or was not.
pub(crate) fn line(id: &ServiceId, kind: &str, status: &str, summary: &str) -> ServiceReceipt {
    ServiceReceipt {
        service: id.clone(),
        kind: kind.to_owned(),
        action: Action::Unchanged,
        status: status.to_owned(),
        duration_ms: 0,
        summary: summary.to_owned(),
        error: None,
    }
}

/// The record as if what is there had been applied: fields of the target that have a fact of the same name get its
/// value, so that the plan shows where that is not as configured. `concerned`: names of the facts to look at.
pub(crate) fn with_actual(
    record: Recorded,
    manifest: &Manifest,
    concerned: impl Fn(&str) -> bool,
) -> Recorded {
    let target = manifest.targets.iter().find(|target| target.kind == record.provider);
    let immutable = target.map(|target| immutable_paths(&target.schema)).unwrap_or_default();
    let mut target = record.target.clone();
    for (name, applied) in target.as_object_mut().into_iter().flatten() {
        let same_type = |actual: &&Value| {
            std::mem::discriminant(*actual) == std::mem::discriminant(applied)
                && !actual.is_object()
        };
        let actual = record.attributes.get(name).filter(same_type);
        // A fact may be spelled in the vendor's way; only of what can be changed in place is a difference harmless.
        if let Some(actual) = actual.filter(|_| concerned(name) && !immutable.contains(name)) {
            *applied = actual.clone();
        }
    }
    Recorded { target, ..record }
}

/// The record of what was seen to differ.
fn as_seen(run: &Run, actual: &Recorded, differences: &[Difference]) -> Recorded {
    let Ok(provisioner) = run.ports.provisioners.for_target(&actual.provider) else {
        return actual.clone();
    };
    let differs = |name: &str| {
        differences.iter().any(|difference| difference.path.split('.').next() == Some(name))
    };
    with_actual(actual.clone(), &provisioner.plugin().manifest, differs)
}

/// Records what was seen: attributes as they are, and nothing of what is gone.
pub async fn adopt(
    run: &Run,
    mut state: State,
    observed: &BTreeMap<ServiceId, Observed>,
) -> Result<Receipt, Failure> {
    begin(run, &state).await?;
    let mut services = Vec::new();
    for (id, seen) in observed {
        let Some(record) = state.services.get(id) else { continue };
        let kind = record.provider.clone();
        match seen {
            Observed::Drifted { actual, differences } => {
                state.services.insert(id.clone(), as_seen(run, actual, differences));
                services.push(line(id, &kind, "completed", "recorded as it is"));
            }
            Observed::Gone => {
                let next = record.generation + 1;
                state.services.remove(id);
                state.retired.insert(id.clone(), next);
                services.push(line(id, &kind, "completed", "forgotten: it is gone"));
            }
            Observed::Same => services.push(line(id, &kind, "unchanged", "unchanged")),
            Observed::Unknown(_) => services.push(line(id, &kind, "skipped", "not checked")),
        }
    }
    snapshot::keep_next(run, &state).await?;
    commit(run, state, DeployStatus::Completed, services).await
}
