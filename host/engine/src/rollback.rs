//! Going back to an earlier run: its credentials into the vault, its facts into the state. Nothing real is changed.
//!
//! What is replaced is kept under the rollback's own id, so that a rollback can be rolled back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ss_core::ident::ServiceId;
use ss_core::record::{DeployStatus, Receipt, ServiceReceipt, Snapshot};
use ss_core::rollback::{self, Fate};
use ss_core::state::State;

use crate::amend;
use crate::failure::Failure;
use crate::observe::{Observed, credential_of, observe};
use crate::run::Run;
use crate::snapshot::{self, Credentials};

/// What came of a rollback.
#[derive(Debug, Clone)]
pub struct RolledBack {
    /// Its receipt.
    pub receipt: Receipt,
    /// What became of each service.
    pub fates: BTreeMap<ServiceId, Fate>,
    /// Credentials that were put back and were others before: service → names.
    pub restored: BTreeMap<ServiceId, BTreeSet<String>>,
    /// Of those, the ones that the provider no longer gives out.
    pub stale: BTreeMap<ServiceId, BTreeSet<String>>,
    /// Services whose restored credentials could not be checked, with the reason.
    pub unchecked: BTreeMap<ServiceId, Failure>,
}

/// Goes back to a snapshot. The caller holds the store's lease, and no call is open.
pub async fn roll_back(
    run: &Arc<Run>,
    now: State,
    snapshot: &Snapshot,
) -> Result<RolledBack, Failure> {
    let then = &snapshot.state;
    if then.lineage != now.lineage {
        let message = "the snapshot is of another system than the state: nothing was changed";
        return Err(Failure::new("SS0403", message));
    }
    let credentials = snapshot::credentials(run, snapshot).await?;
    let before = run.ports.vault.credentials().await?;
    let changed = changed(&before, &credentials);
    let fates = rollback::fates(&now, then, &changed.keys().cloned().collect());
    let after = rollback::roll_back(&now, then, &fates);
    amend::begin(run, &now).await?;
    snapshot::keep(run, now.clone()).await?;
    let restored = restore(run, &credentials, changed, &fates).await?;
    let services = receipts(&now, then, &fates);
    let receipt = amend::commit(run, after, DeployStatus::RolledBack, services).await?;
    let (stale, unchecked) = check(run, &restored).await?;
    Ok(RolledBack { receipt, fates, restored, stale, unchecked })
}

/// Credentials that are not now what they were then, by service.
fn changed(now: &Credentials, then: &Credentials) -> BTreeMap<ServiceId, BTreeSet<String>> {
    let services = now.keys().chain(then.keys()).filter_map(|id| ServiceId::new(id.as_str()).ok());
    let names = |id: &ServiceId| -> BTreeSet<String> {
        let (now, then) = (now.get(id.as_str()), then.get(id.as_str()));
        let names = now.into_iter().chain(then).flat_map(BTreeMap::keys);
        let differs = |name: &&String| {
            now.and_then(|all| all.get(*name)) != then.and_then(|all| all.get(*name))
        };
        names.filter(differs).cloned().collect()
    };
    services.map(|id| (id.clone(), names(&id))).filter(|(_, names)| !names.is_empty()).collect()
}

/// Puts back the credentials of the services whose resource is still the same.
async fn restore(
    run: &Run,
    credentials: &Credentials,
    mut changed: BTreeMap<ServiceId, BTreeSet<String>>,
    fates: &BTreeMap<ServiceId, Fate>,
) -> Result<BTreeMap<ServiceId, BTreeSet<String>>, Failure> {
    changed.retain(|id, _| fates.get(id).is_some_and(|fate| fate.takes_credentials()));
    for id in changed.keys() {
        let values = credentials.get(id.as_str()).cloned().unwrap_or_default();
        run.ports.vault.replace_credentials(id.as_str(), values).await?;
    }
    Ok(changed)
}

fn receipts(now: &State, then: &State, fates: &BTreeMap<ServiceId, Fate>) -> Vec<ServiceReceipt> {
    let one = |(id, fate): (&ServiceId, &Fate)| {
        let record = now.services.get(id).or_else(|| then.services.get(id));
        let kind = record.map_or("", |record| record.provider.as_str());
        let (status, summary) = match fate {
            Fate::Unchanged => ("unchanged", "was the same"),
            Fate::Restored => ("completed", "restored"),
            Fate::Newer => ("skipped", "made since; stays recorded"),
            Fate::Replaced => ("skipped", "replaced since; what exists stays recorded"),
            Fate::Destroyed => ("skipped", "destroyed since; the next deploy makes it anew"),
        };
        amend::line(id, kind, status, summary)
    };
    fates.iter().map(one).collect()
}

type Checked = (BTreeMap<ServiceId, BTreeSet<String>>, BTreeMap<ServiceId, Failure>);

/// Asks the providers (reads only) whether they still give out what was put back.
async fn check(
    run: &Arc<Run>,
    restored: &BTreeMap<ServiceId, BTreeSet<String>>,
) -> Result<Checked, Failure> {
    let (mut stale, mut unchecked) = Checked::default();
    if restored.is_empty() {
        return Ok((stale, unchecked));
    }
    let stored = run.ports.store.load().await?;
    let mut state = stored.map_or_else(|| State::empty(""), |stored| stored.state);
    state.services.retain(|id, _| restored.contains_key(id));
    for (id, observed) in observe(run, &state).await {
        match observed {
            Observed::Drifted { differences, .. } => {
                let names = differences.iter().filter_map(credential_of);
                let names: BTreeSet<String> = names.map(str::to_owned).collect();
                if !names.is_empty() {
                    stale.insert(id, names);
                }
            }
            Observed::Gone => {
                let names = restored[&id].clone();
                stale.insert(id, names);
            }
            Observed::Unknown(failure) => {
                unchecked.insert(id, failure);
            }
            Observed::Same => {}
        }
    }
    Ok((stale, unchecked))
}
