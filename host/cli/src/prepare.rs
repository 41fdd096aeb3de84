//! From files and records to a plan: what `plan`, `deploy` and `drift` share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ss_core::ident::ServiceId;
use ss_core::plan::{Allowed, Plan, Question, decide};
use ss_core::state::{Progress, State};
use ss_core::value::keyed_digest;
use ss_core::{check::Checked, graph};
use ss_engine::{Observed, Run, observe, recover};
use ss_ports::{Lease, Stored, Vault};
use ss_store::RUNS_KEPT;

use crate::args::Scope;
use crate::context::Context;
use crate::error::CommandError;
use crate::project::Project;

/// The plan for a scope against a state.
pub async fn plan(
    vault: &dyn Vault,
    project: &Project,
    checked: &Checked,
    scope: &Scope,
    state: &State,
) -> Result<Plan, CommandError> {
    let config = checked.config.as_ref().expect("a usable configuration is there");
    let digests = digests(vault).await?;
    let allowed = Allowed {
        replace: services(&scope.allow_replace)?,
        destroy: services(&scope.allow_destroy)?,
    };
    let plan = decide(&Question {
        system: &config.system,
        environment: project.env(),
        desired: &checked.desired,
        state,
        digests: &digests,
        allowed: &allowed,
    });
    let chosen: Vec<ServiceId> = services(&scope.service)?.into_iter().collect();
    if chosen.is_empty() {
        return Ok(plan);
    }
    let selected = graph::select(config, &chosen).map_err(|problems| project.invalid(problems))?;
    Ok(plan.only(&selected))
}

/// Service ids from the command line.
pub fn services(texts: &[String]) -> Result<BTreeSet<ServiceId>, CommandError> {
    texts
        .iter()
        .map(|text| {
            ServiceId::new(text.as_str()).map_err(|error| CommandError::usage(error.to_string()))
        })
        .collect()
}

async fn digests(
    vault: &dyn Vault,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, CommandError> {
    let credentials = vault.credentials().await?;
    if credentials.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = vault.digest_key().await?;
    let digest = |(name, secret): (&String, &ss_core::redact::Secret)| {
        (name.clone(), keyed_digest(key.expose(), secret.expose()))
    };
    Ok(credentials
        .iter()
        .map(|(service, names)| (service.clone(), names.iter().map(digest).collect()))
        .collect())
}

/// The state as the real resources are: gone ones are left out, changed ones are to be applied again.
pub async fn refreshed(run: &Arc<Run>, mut state: State) -> Result<State, CommandError> {
    for (id, observed) in observe(run, &state).await {
        match observed {
            Observed::Same => {}
            Observed::Gone => {
                state.services.remove(&id);
            }
            Observed::Drifted { .. } => {
                if let Some(record) = state.services.get_mut(&id) {
                    record.progress = Progress::Unverified;
                }
            }
            Observed::Unknown(failure) => {
                return Err(failure.hint(format!("`{id}` could not be read")).into());
            }
        }
    }
    Ok(state)
}

/// The state, after what a killed run left open is finished.
pub async fn recovered(
    context: &Context,
    run: &Arc<Run>,
    stored: Stored,
) -> Result<State, CommandError> {
    if stored.open.is_empty() && stored.unfinished.is_none() {
        return Ok(stored.state);
    }
    if !context.quiet {
        eprintln!("the last run did not end; finishing what it began");
    }
    Ok(recover(run, stored).await?.0)
}

/// The end of a run that wrote: old runs are forgotten, and the lease is given back.
pub async fn end(run: &Run, lease: Arc<dyn Lease>) {
    // What is kept for too long harms nobody, and the next run tries again.
    let _ = run.ports.store.prune(RUNS_KEPT).await;
    drop(lease);
}
