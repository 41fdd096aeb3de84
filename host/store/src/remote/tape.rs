//! A call's tape in a shared place: an object for each durable piece, records between two in the later one.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use ss_ports::{CallId, StoreError, TapeRecord, TapeWriter};
use zeroize::Zeroizing;

use super::lease::{Held, lost};
use super::objects::{Put, When};
use super::place::Place;

/// A tape that is being written.
pub(crate) struct RemoteTape {
    place: Place,
    folder: String,
    held: Option<Arc<Held>>,
    next: u64,
    length: u64,
    waiting: Vec<TapeRecord>,
}

fn folder(call: &CallId) -> String {
    format!("tapes/{}/{}-{}/", call.deploy, call.service, call.number)
}

/// Begins a tape; one of the same call is removed, whose records the caller has read if it wants them.
pub(crate) async fn begin(
    place: &Place,
    call: &CallId,
    held: Option<Arc<Held>>,
) -> Result<RemoteTape, StoreError> {
    let folder = folder(call);
    // From the end: what a kill leaves is a shorter tape, not one with a hole.
    for name in place.list(&folder).await?.iter().rev() {
        place.delete(name).await?;
    }
    Ok(RemoteTape { place: place.clone(), folder, held, next: 0, length: 0, waiting: Vec::new() })
}

#[async_trait]
impl TapeWriter for RemoteTape {
    async fn append(&mut self, record: &TapeRecord, durable: bool) -> Result<(), StoreError> {
        self.waiting.push(record.clone());
        // Nothing comes after the end that would carry it along.
        if durable || matches!(record, TapeRecord::Done(_)) {
            self.write().await?;
        }
        Ok(())
    }

    fn length(&self) -> u64 {
        self.length
    }
}

impl RemoteTape {
    async fn write(&mut self) -> Result<(), StoreError> {
        // The last look before an unsafe request leaves.
        if self.held.as_ref().is_some_and(|held| !held.counts()) {
            return Err(lost(&self.place, self.held.as_deref()).await);
        }
        let key = format!("{}{:06}", self.folder, self.next);
        let plain = Zeroizing::new(
            serde_json::to_vec(&self.waiting)
                .map_err(|error| StoreError::Io(format!("cannot write `{key}`: {error}")))?,
        );
        match self.place.put(&key, &plain, When::Absent).await? {
            Put::Written(_) => {
                self.next += 1;
                self.length += plain.len() as u64;
                self.waiting.clear();
                Ok(())
            }
            Put::Overtaken => Err(lost(&self.place, self.held.as_deref()).await),
        }
    }
}

/// Reads a tape; `None` when there is none.
pub(crate) async fn read(
    place: &Place,
    call: &CallId,
) -> Result<Option<Vec<TapeRecord>>, StoreError> {
    let folder = folder(call);
    let names = place.list(&folder).await?;
    if names.is_empty() {
        return Ok(None);
    }
    let pieces = try_join_all(names.iter().map(|name| place.get(name))).await?;
    let mut records = Vec::new();
    for (index, (name, piece)) in names.iter().zip(pieces).enumerate() {
        let Some((plain, _)) = piece.filter(|_| *name == format!("{folder}{index:06}")) else {
            break;
        };
        let piece: Vec<TapeRecord> = serde_json::from_slice(&plain).map_err(|error| {
            StoreError::Damaged(format!(
                "the tape `{name}` holds a record that this version of `ss` does not know: {error}"
            ))
        })?;
        records.extend(piece);
    }
    Ok(Some(records))
}
