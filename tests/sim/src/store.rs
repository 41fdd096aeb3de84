//! The real store, with steps: a run may die before and after every write, or with half of it on the disk.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use ss_core::ident::DeployId;
use ss_core::state::State;
use ss_ports::{
    CallId, Entry, Holder, Lease, Receipt, Receipts, Snapshot, StateStore, StoreError, Stored,
    TapeRecord, TapeWriter, Vault,
};
use ss_store::LocalStore;

use crate::case::Trouble;
use crate::points::{Kind, Now, Points};

/// Where a store is.
#[derive(Clone)]
pub struct Place {
    pub directory: PathBuf,
    pub overlay: PathBuf,
}

impl Place {
    /// The store there, as one process opens it.
    pub fn open(&self, vault: Arc<dyn Vault>) -> LocalStore {
        LocalStore::open(self.directory.clone(), Some(self.overlay.clone()), vault)
    }

    fn journal(&self) -> PathBuf {
        self.directory.join("journal.jsonl")
    }

    fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }
}

/// The store of one run.
pub struct SteppedStore {
    pub inner: LocalStore,
    pub place: Place,
    pub points: Arc<Points>,
}

impl SteppedStore {
    async fn write(&self, kind: Kind, what: &str) -> Result<Now, StoreError> {
        match self.points.pass(kind, what).await {
            Now::Full => Err(StoreError::Io("no space left on device".to_owned())),
            now => Ok(now),
        }
    }

    /// Something was written; a run that dies in the middle of it leaves what `undo` makes of it.
    async fn written(&self, what: &str, undo: impl FnOnce() + Send + 'static) {
        self.points.may_tear(undo);
        self.points.pass(Kind::Written, what).await;
    }
}

#[async_trait]
impl StateStore for SteppedStore {
    async fn lock(&self, holder: Holder) -> Result<Box<dyn Lease>, StoreError> {
        self.write(Kind::Write, "lock").await?;
        let lease = self.inner.lock(holder).await?;
        self.points.pass(Kind::Other, "locked").await;
        Ok(lease)
    }

    async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        self.inner.holder().await
    }

    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        self.points.pass(Kind::Other, "load").await;
        self.inner.load().await
    }

    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        self.write(Kind::Write, &format!("append {}", name(entry))).await?;
        let path = self.place.journal();
        let before = length(&path);
        self.inner.append(entry).await?;
        let after = length(&path);
        // A journal that was begun, or whose torn end was cut off, is there whole or not at all.
        let grew = if before == 0 { 0 } else { after.saturating_sub(before) };
        let keep = after - grew / 2;
        self.written("appended", move || cut(&path, keep)).await;
        Ok(())
    }

    async fn commit(&self, state: &State, expected: u64) -> Result<u64, StoreError> {
        if self.write(Kind::Commit, "commit").await? == Now::Robbed {
            // Somebody thinks that nobody works here any more, and this process is suspended for as long.
            fs::remove_file(self.place.lock()).expect("the lock is a file");
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let (journal, overlay) = (self.place.journal(), self.place.overlay.clone());
        let before = [&journal, &overlay].map(|path| fs::read(path).expect("it is there"));
        let serial = self.inner.commit(state, expected).await?;
        self.points.course.commits(serial);
        let is_early = self.points.course.rng().bool();
        let [journal_before, overlay_before] = before;
        // Killed before the last step of a commit, or before the last two.
        let undo = move || {
            fs::write(&journal, journal_before).expect("it can be written");
            if is_early {
                fs::write(&overlay, overlay_before).expect("it can be written");
            }
        };
        self.written("committed", undo).await;
        Ok(serial)
    }

    async fn replace(&self, state: &State) -> Result<u64, StoreError> {
        self.inner.replace(state).await
    }

    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError> {
        self.write(Kind::Write, "tape").await?;
        let inner = self.inner.tape(call).await?;
        Ok(Box::new(SteppedTape { inner, points: self.points.clone(), cached: Vec::new() }))
    }

    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError> {
        self.points.pass(Kind::Other, "read tape").await;
        self.inner.read_tape(call).await
    }

    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.write(Kind::Write, &format!("receipt {}", receipt.status.as_str())).await?;
        self.inner.put_receipt(receipt).await?;
        self.points.pass(Kind::Other, "receipt written").await;
        Ok(())
    }

    async fn receipts(&self) -> Result<Receipts, StoreError> {
        self.inner.receipts().await
    }

    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.write(Kind::Write, "snapshot").await?;
        self.inner.put_snapshot(snapshot).await
    }

    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(deploy).await
    }

    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError> {
        self.write(Kind::Write, "prune").await?;
        self.inner.prune(keep).await
    }
}

/// A tape of which a power cut takes what need not be durable.
struct SteppedTape {
    inner: Box<dyn TapeWriter>,
    points: Arc<Points>,
    cached: Vec<TapeRecord>,
}

impl SteppedTape {
    async fn flush(&mut self) -> Result<(), StoreError> {
        for record in std::mem::take(&mut self.cached) {
            self.inner.append(&record, true).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl TapeWriter for SteppedTape {
    async fn append(&mut self, record: &TapeRecord, durable: bool) -> Result<(), StoreError> {
        if self.points.pass(Kind::Write, "tape record").await == Now::Full {
            return Err(StoreError::Io("no space left on device".to_owned()));
        }
        self.cached.push(record.clone());
        if durable {
            self.flush().await?;
            self.points.pass(Kind::Other, "tape synced").await;
        }
        Ok(())
    }
}

impl Drop for SteppedTape {
    fn drop(&mut self) {
        if !matches!(self.points.death(), Some(Trouble::PowerCut | Trouble::Torn)) {
            // The machine lives, so what was written is there. The real tape never waits.
            let flushed = self.flush().now_or_never();
            flushed.expect("it does not wait").expect("it can be written");
        }
    }
}

fn name(entry: &Entry) -> String {
    match entry {
        Entry::Begin { .. } => "begin".to_owned(),
        Entry::Intent { call, .. } => format!("intent {}", call.service),
        Entry::Checkpoint { call, .. } => format!("checkpoint {}", call.service),
        Entry::Outcome { call, .. } => format!("outcome {}", call.service),
        Entry::End { .. } => "end".to_owned(),
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn cut(path: &Path, length: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("it is there");
    file.set_len(length).expect("it can be cut");
}
