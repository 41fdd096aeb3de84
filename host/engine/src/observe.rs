//! Reads the real resources and says where they differ from the record. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use serde_json::Value;
use ss_core::ident::ServiceId;
use ss_core::record::CallId;
use ss_core::redact::Secret;
use ss_core::state::{Recorded, State};
use ss_core::value::{Difference, diff};
use ss_gate::decide::{Origin, Phase};

use crate::call;
use crate::failure::Failure;
use crate::run::{Run, lock};
use crate::session::{CallFacts, Progress, Session};

/// What was seen of one service.
#[derive(Debug, Clone)]
pub enum Observed {
    /// It is as recorded.
    Same,
    /// It differs; the fresh record is what is there.
    Drifted {
        /// Attribute by attribute: recorded → actual.
        differences: Vec<Difference>,
        /// The record as it would be, were reality recorded.
        actual: Box<Recorded>,
    },
    /// It is gone.
    Gone,
    /// It could not be read.
    Unknown(Failure),
}

/// Reads every recorded service, side by side.
pub async fn observe(run: &Arc<Run>, state: &State) -> BTreeMap<ServiceId, Observed> {
    futures_util::stream::iter(&state.services)
        .map(|(id, record)| async { (id.clone(), one(run, id, record).await) })
        .buffer_unordered(run.settings.parallelism.max(1))
        .collect()
        .await
}

async fn one(run: &Arc<Run>, id: &ServiceId, record: &Recorded) -> Observed {
    let Some(resource) = call::resource(record) else { return Observed::Gone };
    let provisioner = match run.ports.provisioners.for_target(&record.provider) {
        Ok(provisioner) => provisioner,
        Err(error) => return Observed::Unknown(Failure::new("SS0301", error.to_string())),
    };
    let mark = call::mark(run, id, record);
    let facts = CallFacts {
        call: CallId { deploy: run.header.id.clone(), service: id.clone(), number: 0 },
        service: id.clone(),
        phase: Phase::Read,
        approved: BTreeSet::new(),
        grant: run.grant(&provisioner.plugin().pin.name),
        manifest: provisioner.plugin().manifest.clone(),
        mark: mark.clone(),
        draft: None,
        named: None,
    };
    let progress =
        Arc::new(Mutex::new(Progress { owned: record.owned.clone(), ..Progress::default() }));
    let session = Box::new(Session::new(run.clone(), facts, progress.clone(), None));
    let input = call::service_input(id, &record.target, &[], mark);
    match provisioner.read(input, resource, session).await {
        Ok(None) => Observed::Gone,
        Ok(Some(actual)) => {
            let kept = match run.ports.vault.credentials().await {
                Ok(mut kept) => kept.remove(id.as_str()).unwrap_or_default(),
                Err(error) => return Observed::Unknown(error.into()),
            };
            let mut differences = diff(&record.attributes, &actual.attributes);
            differences.extend(stale_credentials(record, &kept, &lock(&progress).secrets));
            if differences.is_empty() {
                return Observed::Same;
            }
            let now = run.ports.clock.now_ms();
            let actual = call::filled(record.clone(), &actual, record.owned.clone(), now);
            Observed::Drifted { differences, actual: Box::new(actual) }
        }
        Err(error) => {
            Observed::Unknown(call::explained(&record.provider, &mut lock(&progress), error))
        }
    }
}

/// Where a credential stands in a list of differences.
const CREDENTIALS: &str = "credentials.";

/// The name of the credential that a difference is about.
pub(crate) fn credential_of(difference: &Difference) -> Option<&str> {
    difference.path.strip_prefix(CREDENTIALS)
}

/// Credentials in the vault that the provider no longer gives out. A read that was given secrets was given what the
/// service gives to others; one that was given none says nothing, and neither does a vault that has none.
fn stale_credentials(
    record: &Recorded,
    kept: &BTreeMap<String, Secret>,
    seen: &[(Secret, Origin)],
) -> Vec<Difference> {
    if seen.is_empty() {
        return Vec::new();
    }
    let stale = kept.iter().filter(|(name, value)| {
        record.outputs.contains(*name) && !seen.iter().any(|(seen, _)| seen == *value)
    });
    let shown = |text: &str| Some(Value::String(text.to_owned()));
    stale
        .map(|(name, _)| Difference {
            path: format!("{CREDENTIALS}{name}"),
            before: shown("(secret)"),
            after: shown("(secret, changed)"),
        })
        .collect()
}
