//! Receipts and snapshots in a shared place.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ss_core::ident::DeployId;
use ss_ports::{Entry, Receipt, Receipts, Snapshot, StoreError};
use tokio::sync::Mutex;

use super::objects::{Put, Version, When};
use super::place::Place;

const RECEIPTS: &str = "receipts/";
const SNAPSHOTS: &str = "snapshots/";
const VERSION: u32 = 1;

/// What a writer wrote, by name, as it left it.
pub(crate) type Written = Mutex<BTreeMap<String, Version>>;

/// `false` when somebody else wrote the receipt since: who took the run over said how it ended.
pub(crate) async fn put_receipt(
    place: &Place,
    written: &Written,
    receipt: &Receipt,
) -> Result<bool, StoreError> {
    put(place, written, format!("{RECEIPTS}{}", receipt.header.id), receipt).await
}

/// One that cannot be read is named and does not hide the others.
pub(crate) async fn receipts(place: &Place) -> Result<Receipts, StoreError> {
    let names = place.list(RECEIPTS).await?;
    let mut all = Receipts::default();
    for receipt in join_all(names.iter().map(|name| get::<Receipt>(place, name))).await {
        match receipt {
            Ok(Some(receipt)) if receipt.version > VERSION => {
                all.damaged.push(newer(RECEIPTS, receipt.version).to_string());
            }
            Ok(Some(receipt)) => all.found.push(receipt),
            Ok(None) => {}
            Err(StoreError::Damaged(why)) => all.damaged.push(why),
            Err(error) => return Err(error),
        }
    }
    let age = |receipt: &Receipt| (receipt.header.started_ms, receipt.header.id.clone());
    all.found.sort_by_cached_key(|receipt| std::cmp::Reverse(age(receipt)));
    Ok(all)
}

/// `false` when somebody else wrote the snapshot since.
pub(crate) async fn put_snapshot(
    place: &Place,
    written: &Written,
    snapshot: &Snapshot,
) -> Result<bool, StoreError> {
    put(place, written, format!("{SNAPSHOTS}{}", snapshot.deploy), snapshot).await
}

pub(crate) async fn snapshot(
    place: &Place,
    deploy: &DeployId,
) -> Result<Option<Snapshot>, StoreError> {
    match get::<Snapshot>(place, &format!("{SNAPSHOTS}{deploy}")).await? {
        Some(snapshot) if snapshot.version > VERSION => Err(newer(SNAPSHOTS, snapshot.version)),
        other => Ok(other),
    }
}

pub(crate) async fn prune(
    place: &Place,
    keep: usize,
    entries: &[Entry],
) -> Result<Vec<DeployId>, StoreError> {
    // Most runs have nothing to forget; a list says so without reading a receipt.
    if place.list(RECEIPTS).await?.len() <= keep {
        return Ok(Vec::new());
    }
    let needed: BTreeSet<&DeployId> = entries.iter().map(Entry::deploy).collect();
    let ids = receipts(place).await?.found.into_iter().skip(keep).map(|receipt| receipt.header.id);
    let old: Vec<DeployId> = ids.filter(|id| !needed.contains(id)).collect();
    for id in &old {
        // The receipt goes last: while it is there, the next prune finds what this one left.
        let tapes = place.list(&format!("tapes/{id}/")).await?;
        try_join_all(tapes.iter().map(|name| place.delete(name))).await?;
        place.delete(&format!("{SNAPSHOTS}{id}")).await?;
        place.delete(&format!("{RECEIPTS}{id}")).await?;
    }
    Ok(old)
}

async fn put(
    place: &Place,
    written: &Written,
    key: String,
    value: &impl Serialize,
) -> Result<bool, StoreError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| StoreError::Io(format!("cannot write `{key}`: {error}")))?;
    let known = written.lock().await.get(&key).cloned();
    let before = match known {
        Some(version) => Some(version),
        None => place.get(&key).await?.map(|(_, version)| version),
    };
    let when = before.map_or(When::Absent, When::Unchanged);
    match place.put(&key, &bytes, when).await? {
        Put::Written(version) => {
            written.lock().await.insert(key, version);
            Ok(true)
        }
        Put::Overtaken => Ok(false),
    }
}

async fn get<T: DeserializeOwned>(place: &Place, key: &str) -> Result<Option<T>, StoreError> {
    let Some((bytes, _)) = place.get(key).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        StoreError::Damaged(format!("`{key}` of the shared state is damaged ({error})"))
    })
}

fn newer(what: &str, version: u32) -> StoreError {
    StoreError::Damaged(format!(
        "one of `{what}` in the shared state has version {version}, and this `ss` knows {VERSION}; use a newer `ss`"
    ))
}
