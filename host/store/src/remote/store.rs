//! The port on a shared place.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ss_core::ident::DeployId;
use ss_core::record::fold;
use ss_core::state::{STATE_VERSION, State};
use ss_ports::{
    CallId, Entry, Holder, Lease, Receipt, Receipts, Snapshot, StateStore, StoreError, Stored,
    TapeRecord, TapeWriter, Vault,
};

use super::lease::{self, Held, LEASE};
use super::log::{self, Line, Log, What};
use super::objects::Objects;
use super::place::Place;
use super::{runs, tape};

/// The store of one system and environment in a shared place.
pub struct RemoteStore {
    place: Place,
    lease: Duration,
    /// The lease that this store took last.
    held: Mutex<Option<Arc<Held>>>,
    /// The log as this writer left it; `None` when it must be read again.
    log: tokio::sync::Mutex<Option<Log>>,
    /// What to say when the place is empty, though it should not be.
    not_moved: Option<String>,
}

impl RemoteStore {
    /// The store over these objects; the vault seals all of them.
    pub fn open(objects: Arc<dyn Objects>, vault: Arc<dyn Vault>) -> Result<Self, StoreError> {
        Ok(Self {
            place: Place::new(objects, vault)?,
            lease: LEASE,
            held: Mutex::new(None),
            log: tokio::sync::Mutex::new(None),
            not_moved: None,
        })
    }

    /// With another length of the lease; all who share a place must agree on it.
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// An empty place is refused with these words: the state is elsewhere and was not moved yet.
    pub fn refusing_empty(self, why: Option<String>) -> Self {
        Self { not_moved: why, ..self }
    }

    /// Stops renewing the lease, and believes in it all the same: what a machine that hangs looks like to others.
    #[doc(hidden)]
    pub fn stop_renewing(&self) {
        if let Some(held) = &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            held.stop_renewing();
        }
    }

    /// The fence to write with. Without a lease (nobody asks then for one) any.
    fn fence(&self) -> Result<Option<u64>, StoreError> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some(held) if !held.counts() => Err(lost()),
            held => Ok(held.as_ref().map(|held| held.fence)),
        }
    }

    /// The log, read again if need be, with the fence to write with.
    async fn fenced(&self, log: Option<Log>) -> Result<(Log, u64), StoreError> {
        let fence = self.fence()?;
        let log = match log {
            Some(log) => log,
            None => log::read(&self.place).await?,
        };
        match fence {
            Some(fence) if fence < log.fence => Err(lost()),
            Some(fence) => Ok((log, fence)),
            None => {
                let fence = log.fence;
                Ok((log, fence))
            }
        }
    }

    async fn overtaken(&self, expected: u64) -> StoreError {
        match log::read(&self.place).await {
            Ok(log) => match log.base.map(|base| base.serial) {
                Some(found) if found != expected => StoreError::Stale { expected, found },
                _ => lost(),
            },
            Err(error) => error,
        }
    }
}

#[async_trait]
impl StateStore for RemoteStore {
    async fn lock(&self, holder: Holder) -> Result<Box<dyn Lease>, StoreError> {
        let lease = lease::take(&self.place, holder, self.lease).await?;
        let mut slot = self.log.lock().await;
        // Whoever had the lease before must find its next line taken.
        loop {
            let mut log = log::read(&self.place).await?;
            if log.fence > lease.held.fence {
                return Err(lost());
            }
            let line = Line { fence: lease.held.fence, what: What::Fence(()) };
            if log.write(&self.place, line).await? {
                *slot = Some(log);
                break;
            }
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.held.clone());
        Ok(Box::new(lease))
    }

    async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        lease::holder(&self.place).await
    }

    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let log = log::read(&self.place).await?;
        let Some(base) = log.base else {
            return match &self.not_moved {
                Some(why) => Err(StoreError::Mismatch(why.clone())),
                None => Ok(None),
            };
        };
        let folded = fold(base, &log.entries);
        Ok(Some(Stored { state: folded.state, open: folded.open, unfinished: folded.unfinished }))
    }

    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut slot = self.log.lock().await;
        let (mut log, fence) = self.fenced(slot.take()).await?;
        check_entry(entry, log.base.as_ref())?;
        let serial = log.base.as_ref().map_or(0, |base| base.serial);
        let line = Line { fence, what: What::Entry(Box::new(entry.clone())) };
        if !log.write(&self.place, line).await? {
            return Err(self.overtaken(serial).await);
        }
        *slot = Some(log);
        Ok(())
    }

    async fn commit(&self, state: &State, expected: u64) -> Result<u64, StoreError> {
        let mut slot = self.log.lock().await;
        let (mut log, fence) = self.fenced(slot.take()).await?;
        if let Some(base) = &log.base {
            check_lineage(&state.lineage, &base.lineage)?;
        }
        check_serial(expected, log.base.as_ref().map_or(0, |base| base.serial))?;
        let next = State { version: STATE_VERSION, serial: expected + 1, ..state.clone() };
        let line = Line { fence, what: What::State(Box::new(next)) };
        if !log.write(&self.place, line).await? || !log.is_last(&self.place).await? {
            return Err(self.overtaken(expected).await);
        }
        // What is kept for too long harms nobody, and the next commit tries again.
        let _ = log.prune(&self.place).await;
        *slot = Some(log);
        Ok(expected + 1)
    }

    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError> {
        self.fence()?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Box::new(tape::begin(&self.place, call, held).await?))
    }

    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError> {
        tape::read(&self.place, call).await
    }

    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        runs::put_receipt(&self.place, receipt).await
    }

    async fn receipts(&self) -> Result<Receipts, StoreError> {
        runs::receipts(&self.place).await
    }

    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        runs::put_snapshot(&self.place, snapshot).await
    }

    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        runs::snapshot(&self.place, deploy).await
    }

    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError> {
        let entries = log::read(&self.place).await?.entries;
        runs::prune(&self.place, keep, &entries).await
    }
}

/// What a writer is told that no longer is one.
pub(crate) fn lost() -> StoreError {
    StoreError::Mismatch(
        "this run lost the lease of the shared state: it could not be renewed in time, and another run may have it. \
         Nothing more was written; run the same command again, which goes on where this run or the other one stopped"
            .to_owned(),
    )
}

fn check_entry(entry: &Entry, base: Option<&State>) -> Result<(), StoreError> {
    match (entry, base) {
        (Entry::Begin { serial, .. }, None) => check_serial(*serial, 0),
        (Entry::Begin { lineage, serial, .. }, Some(base)) => {
            check_lineage(lineage, &base.lineage)?;
            check_serial(*serial, base.serial)
        }
        (_, None) => Err(StoreError::Mismatch("a run begins with its `begin` entry".to_owned())),
        (_, Some(_)) => Ok(()),
    }
}

fn check_serial(expected: u64, found: u64) -> Result<(), StoreError> {
    if expected == found { Ok(()) } else { Err(StoreError::Stale { expected, found }) }
}

fn check_lineage(lineage: &str, stored: &str) -> Result<(), StoreError> {
    if lineage == stored {
        return Ok(());
    }
    Err(StoreError::Mismatch(format!(
        "this run began on lineage {lineage}, but the shared state is of lineage {stored}: plan again"
    )))
}
