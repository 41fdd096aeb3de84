//! Snapshots: a state with the credentials that belong to it, sealed.

use std::collections::BTreeMap;

use serde_json::Value;
use ss_core::record::Snapshot;
use ss_core::redact::Secret;
use ss_core::state::State;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::run::Run;

/// Service → name → value.
pub(crate) type Credentials = BTreeMap<String, BTreeMap<String, Secret>>;

/// Keeps the state that the run is about to commit, and the credentials that belong to it.
pub(crate) async fn keep_next(run: &Run, state: &State) -> Result<(), Failure> {
    let (serial, deploy) = (state.serial + 1, Some(run.header.id.clone()));
    keep(run, State { serial, deploy, ..state.clone() }).await
}

/// Keeps a state and the credentials of this moment under the run's id.
pub(crate) async fn keep(run: &Run, state: State) -> Result<(), Failure> {
    let credentials = sealed(run, &run.ports.vault.credentials().await?).await?;
    let (deploy, overlay) = (run.header.id.clone(), run.settings.overlay.clone());
    let snapshot = Snapshot { version: 1, deploy, state, credentials, overlay };
    Ok(run.ports.store.put_snapshot(&snapshot).await?)
}

async fn sealed(run: &Run, credentials: &Credentials) -> Result<Vec<u8>, Failure> {
    let values = |values: &BTreeMap<String, Secret>| {
        let values = values.iter();
        values
            .map(|(name, secret)| (name.clone(), Value::String(secret.expose().clone())))
            .collect()
    };
    let plain: serde_json::Map<String, Value> = credentials
        .iter()
        .map(|(service, named)| (service.clone(), Value::Object(values(named))))
        .collect();
    let plain = Zeroizing::new(Value::Object(plain).to_string().into_bytes());
    Ok(run.ports.vault.seal(&plain).await?)
}

/// The credentials in a snapshot.
pub(crate) async fn credentials(run: &Run, snapshot: &Snapshot) -> Result<Credentials, Failure> {
    let plain = run.ports.vault.open(&snapshot.credentials).await?;
    // The parser's own words could quote what it read.
    let named: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_slice(plain.expose())
        .map_err(|_| {
            let message =
                format!("the credentials in the snapshot of {} are damaged", snapshot.deploy);
            Failure::new("SS0404", message)
        })?;
    let secret = |(name, value)| (name, Secret::new(value));
    Ok(named
        .into_iter()
        .map(|(service, values)| (service, values.into_iter().map(secret).collect()))
        .collect())
}
