//! The port on a shared place.

use std::path::PathBuf;
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

use super::lease::{self, Held, LEASE, lost};
use super::log::{self, Line, Log, What};
use super::note::Note;
use super::objects::Objects;
use super::place::Place;
use super::readers::{self, AskReaders, Reader};
use super::{runs, tape};

/// The store of one system and environment in a shared place.
pub struct RemoteStore {
    place: Place,
    lease: Duration,
    /// The lease that this store took last.
    held: Mutex<Option<Arc<Held>>>,
    /// The log as this writer left it; `None` when it must be read again.
    log: tokio::sync::Mutex<Option<Log>>,
    /// To whom this writer encrypts.
    readers: Option<AskReaders>,
    /// What the overlay notes of this state.
    note: Option<Note>,
    /// The receipts and snapshots that this writer wrote, as it left them.
    written: runs::Written,
}

impl RemoteStore {
    /// The store over these objects; the vault seals all of them.
    pub fn open(objects: Arc<dyn Objects>, vault: Arc<dyn Vault>) -> Result<Self, StoreError> {
        Ok(Self {
            place: Place::new(objects, vault)?,
            lease: LEASE,
            held: Mutex::new(None),
            log: tokio::sync::Mutex::new(None),
            readers: None,
            note: None,
            written: runs::Written::default(),
        })
    }

    /// With another length of the lease; all who share a place must agree on it.
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// With a note of this state in an overlay: the kind of place, and what to call the place itself.
    pub fn noted_in(self, overlay: PathBuf, backend: &'static str, place: String) -> Self {
        Self { note: Some(Note { overlay, backend, place }), ..self }
    }

    /// Locks nobody out: a lease is given only to a writer that encrypts to all who can read the place.
    pub fn read_by(self, readers: AskReaders) -> Self {
        Self { readers: Some(readers), ..self }
    }

    /// Refuses when what this writer writes could not be read by all who can read the place.
    pub async fn check_readers(&self) -> Result<(), StoreError> {
        match &self.readers {
            Some(ask) => readers::check(&self.place, &asked(ask)?).await,
            None => Ok(()),
        }
    }

    /// Encrypts everything again, to the recipients of now; gives the number of objects. Only for the holder of the
    /// lease.
    pub async fn reseal(&self, readers: &AskReaders) -> Result<usize, StoreError> {
        self.fence().await?;
        readers::set(&self.place, &asked(readers)?).await?;
        // The lease is written all the time anyway.
        let names: Vec<String> = self.place.list("").await?;
        let names: Vec<&String> = names.iter().filter(|name| *name != lease::KEY).collect();
        for name in &names {
            self.place.reseal(name).await?;
        }
        Ok(names.len())
    }

    /// Stops renewing the lease, and believes in it all the same: what a machine that hangs looks like to others.
    #[doc(hidden)]
    pub fn stop_renewing(&self) {
        if let Some(held) = &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            held.stop_renewing();
        }
    }

    /// The fence to write with. Without a lease (nobody asks then for one) any.
    async fn fence(&self) -> Result<Option<u64>, StoreError> {
        match self.held() {
            Some(held) if !held.counts() => Err(lost(&self.place, Some(&held)).await),
            held => Ok(held.map(|held| held.fence)),
        }
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The log, read again if need be, with the fence to write with.
    async fn fenced(&self, log: Option<Log>) -> Result<(Log, u64), StoreError> {
        let fence = self.fence().await?;
        let log = match log {
            Some(log) => log,
            None => log::read(&self.place).await?,
        };
        match fence {
            Some(fence) if fence < log.fence => {
                Err(lost(&self.place, self.held().as_deref()).await)
            }
            Some(fence) => Ok((log, fence)),
            None => {
                let fence = log.fence;
                Ok((log, fence))
            }
        }
    }

    /// Writes a state; `false` when somebody else wrote something there.
    async fn write_state(
        &self,
        log: &mut Log,
        fence: u64,
        state: State,
    ) -> Result<bool, StoreError> {
        let line = Line { fence, what: What::State(Box::new(state.clone())) };
        if !log.write(&self.place, line).await? || !log.is_last(&self.place).await? {
            return Ok(false);
        }
        if let Some(note) = &self.note {
            note.write(&state);
        }
        // What is kept for too long harms nobody, and the next commit tries again.
        let _ = log.prune(&self.place).await;
        Ok(true)
    }

    async fn overtaken(&self, expected: u64) -> StoreError {
        match log::read(&self.place).await {
            Ok(log) => match log.base.map(|base| base.serial) {
                Some(found) if found != expected => StoreError::Stale { expected, found },
                _ => lost(&self.place, self.held().as_deref()).await,
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
                return Err(lost(&self.place, Some(&lease.held)).await);
            }
            let line = Line { fence: lease.held.fence, what: What::Fence(()) };
            if log.write(&self.place, line).await? {
                *slot = Some(log);
                break;
            }
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.held.clone());
        self.check_readers().await?;
        Ok(Box::new(lease))
    }

    async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        lease::holder(&self.place, self.lease).await
    }

    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let log = log::read(&self.place).await?;
        if let Some(note) = &self.note {
            note.check(log.base.as_ref())?;
        }
        let Some(base) = log.base else { return Ok(None) };
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
        if !self.write_state(&mut log, fence, next).await? {
            return Err(self.overtaken(expected).await);
        }
        *slot = Some(log);
        Ok(expected + 1)
    }

    async fn replace(&self, state: &State) -> Result<u64, StoreError> {
        let mut slot = self.log.lock().await;
        let (mut log, fence) = self.fenced(slot.take()).await?;
        let found = log.base.as_ref().map_or(0, |base| base.serial);
        let serial = found.max(state.serial) + 1;
        let next = State { version: STATE_VERSION, serial, backend: None, ..state.clone() };
        if !self.write_state(&mut log, fence, next).await? {
            return Err(self.overtaken(found).await);
        }
        *slot = Some(log);
        Ok(serial)
    }

    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError> {
        self.fence().await?;
        Ok(Box::new(tape::begin(&self.place, call, self.held()).await?))
    }

    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError> {
        tape::read(&self.place, call).await
    }

    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.fence().await?;
        match runs::put_receipt(&self.place, &self.written, receipt).await? {
            true => Ok(()),
            false => Err(lost(&self.place, self.held().as_deref()).await),
        }
    }

    async fn receipts(&self) -> Result<Receipts, StoreError> {
        runs::receipts(&self.place).await
    }

    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.fence().await?;
        match runs::put_snapshot(&self.place, &self.written, snapshot).await? {
            true => Ok(()),
            false => Err(lost(&self.place, self.held().as_deref()).await),
        }
    }

    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        runs::snapshot(&self.place, deploy).await
    }

    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError> {
        self.fence().await?;
        let entries = log::read(&self.place).await?.entries;
        runs::prune(&self.place, keep, &entries).await
    }
}

fn asked(readers: &AskReaders) -> Result<Vec<Reader>, StoreError> {
    readers().map_err(|error| StoreError::Io(error.to_string()))
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
