//! The store on this machine's disk.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use ss_core::ident::DeployId;
use ss_core::state::{STATE_VERSION, State};
use ss_ports::{
    CallId, Entry, Holder, Lease, Receipt, Receipts, Snapshot, StateStore, StoreError, Stored,
    TapeRecord, TapeWriter, Vault,
};

use crate::commit::{ORDER, Paths, Step, perform, write_overlay};
use crate::journal::{self, Batch, Origin, Writer};
use crate::lease::{self, FileLease};
use crate::reconcile::{Found, Places, Settled, settle};
use crate::runs::Runs;
use crate::{files, overlay, tape};

/// The store of one system and environment in a directory of this machine.
pub struct LocalStore {
    paths: Paths,
    runs: Runs,
    vault: Arc<dyn Vault>,
    /// The journal, from the first entry that is added under a lease to the next commit.
    writer: Mutex<Option<Writer>>,
    /// What the keys of this process's tapes are sealed with.
    tape_key: OnceLock<tape::RunKey>,
}

impl LocalStore {
    /// The store in this directory (`…/systems/<name>/<env>`), which is made with the first write. The overlay is
    /// the file whose `_state` is kept up to date; the vault seals the tapes.
    pub fn open(directory: PathBuf, overlay: Option<PathBuf>, vault: Arc<dyn Vault>) -> Self {
        let runs = Runs::new(&directory);
        let (writer, tape_key) = (Mutex::new(None), OnceLock::new());
        Self { paths: Paths { directory, overlay }, runs, vault, writer, tape_key }
    }

    fn overlay_state(&self) -> Result<Option<State>, StoreError> {
        let noted = self.paths.overlay.as_deref().map_or(Ok(None), overlay::read)?;
        match noted.as_ref().and_then(|noted| noted.backend.as_deref()) {
            Some(backend) => Err(self.is_elsewhere(backend)),
            None => Ok(noted),
        }
    }

    fn is_elsewhere(&self, backend: &str) -> StoreError {
        StoreError::Mismatch(format!(
            "`_state` in {} says that the state is in a place of the kind `{backend}`, but the file has no `state`. Put \
             `state` back; or, to go on with this machine's files, push what `ss state pull` printed with `ss state \
             push --force`",
            self.paths.overlay_name().display()
        ))
    }

    /// Takes the state out of the way after it was moved to another place: two truths are none. The files stay
    /// beside it, as `*.moved`.
    pub fn set_aside(&self) -> Result<(), StoreError> {
        *self.writer() = None;
        for path in [self.paths.journal(), self.paths.state()] {
            files::set_aside(&path)?;
        }
        Ok(())
    }

    fn settled(&self, overlay: Option<State>) -> Result<Settled, StoreError> {
        let remedy = "Put it back from a backup; without one, move it and journal.jsonl away to go on from `_state` \
                      in the overlay.";
        let journal = journal::read(&self.paths.journal())?;
        let local = files::read_json(&self.paths.state(), remedy)?;
        let places =
            Places { directory: &self.paths.directory, overlay: self.paths.overlay_name() };
        settle(Found { overlay, journal, local }, &places)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        // A thread that panicked while it wrote left a writer that says so itself.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry among those that are written next.
    fn add(&self, entry: &Entry) -> Result<Batch, StoreError> {
        let mut slot = self.writer();
        if let Some(writer) = &mut *slot {
            check_begin(entry, &writer.origin)?;
            return writer.push(entry);
        }
        slot.insert(self.open_journal(entry)?).push(entry)
    }

    /// Writes what waits, unless another call of those that wait has done so.
    fn written(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut slot = self.writer();
        if let Some(written) = batch.get() {
            return written.clone();
        }
        let Some(mut writer) = slot.take() else {
            return Err(StoreError::Io("the journal was closed before it was written".to_owned()));
        };
        writer.flush()?;
        *slot = Some(writer);
        Ok(())
    }

    /// Opens the journal for an entry that fits it; begins one on the state that counts when there is none.
    fn open_journal(&self, entry: &Entry) -> Result<Writer, StoreError> {
        let settled = self.settled(self.overlay_state()?)?;
        let base = settled.base.or_else(|| first_state(entry)).ok_or_else(|| {
            StoreError::Mismatch("a run begins with its `begin` entry".to_owned())
        })?;
        let origin = Origin::new(&base.lineage, base.serial);
        check_begin(entry, &origin)?;
        if !settled.is_stored {
            perform(Step::State, &self.paths, &base)?;
        }
        let path = self.paths.journal();
        let journal =
            match journal::read(&path)?.filter(|journal| journal.origin.is_same_state(&origin)) {
                Some(journal) => journal,
                None => {
                    if let Some(overlay) = &self.paths.overlay {
                        overlay::check_writable(overlay)?;
                    }
                    journal::begin(&path, origin)?
                }
            };
        Writer::open(&path, journal)
    }

    fn write_next(&self, state: &State, expected: u64) -> Result<u64, StoreError> {
        // An overlay that the user broke meanwhile must not keep the state from being saved.
        let base = self.settled(self.overlay_state().unwrap_or(None))?.base;
        if let Some(base) = &base {
            check_lineage(&state.lineage, &base.lineage)?;
        }
        check_serial(expected, base.map_or(0, |base| base.serial))?;
        let next = State { version: STATE_VERSION, serial: expected + 1, ..state.clone() };
        *self.writer() = None;
        for step in ORDER {
            perform(step, &self.paths, &next)?;
        }
        Ok(next.serial)
    }

    /// Finishes what a commit that was cut short left behind. What does not fit together is for `load` to tell.
    fn finish_commit(&self) -> Result<(), StoreError> {
        let settled = self.overlay_state().and_then(|overlay| self.settled(overlay));
        match settled {
            Ok(Settled { base: Some(base), is_overlay_behind: true, .. }) => {
                write_overlay(&self.paths, &base)
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl StateStore for LocalStore {
    async fn lock(&self, holder: Holder) -> Result<Box<dyn Lease>, StoreError> {
        let lease = FileLease::take(&self.paths.lock(), &holder)?;
        // Somebody else may have written since the journal was opened.
        *self.writer() = None;
        self.finish_commit()?;
        Ok(Box::new(lease))
    }

    async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        lease::holder(&self.paths.lock())
    }

    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let folded = self.settled(self.overlay_state()?)?.fold();
        Ok(folded.map(|folded| Stored {
            state: folded.state,
            open: folded.open,
            unfinished: folded.unfinished,
        }))
    }

    /// Services that run side by side write together: who is ready in this moment joins, and one sync is for all.
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let batch = self.add(entry)?;
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.written(&batch)
    }

    async fn commit(&self, state: &State, expected: u64) -> Result<u64, StoreError> {
        self.write_next(state, expected)
    }

    async fn replace(&self, state: &State) -> Result<u64, StoreError> {
        let found: Option<State> = files::read_json(&self.paths.state(), "Move it away.")?;
        let serial = found.map_or(0, |found| found.serial).max(state.serial) + 1;
        let next = State { version: STATE_VERSION, serial, backend: None, ..state.clone() };
        *self.writer() = None;
        for step in ORDER {
            perform(step, &self.paths, &next)?;
        }
        Ok(serial)
    }

    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError> {
        let path = self.runs.tape(call)?;
        let key = match self.tape_key.get() {
            Some(key) => key,
            None => {
                let key = tape::RunKey::make(&*self.vault, &path).await?;
                self.tape_key.get_or_init(|| key)
            }
        };
        Ok(Box::new(tape::create(path, call, key)?))
    }

    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError> {
        tape::read(&self.runs.tape(call)?, call, &*self.vault).await
    }

    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.runs.put_receipt(receipt)
    }

    async fn receipts(&self) -> Result<Receipts, StoreError> {
        self.runs.receipts()
    }

    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.runs.put_snapshot(snapshot)
    }

    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        self.runs.snapshot(deploy)
    }

    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError> {
        let journal = journal::read(&self.paths.journal())?;
        self.runs.prune(keep, &journal.map_or_else(Vec::new, |journal| journal.entries))
    }
}

/// The state that the very first run begins from.
fn first_state(entry: &Entry) -> Option<State> {
    match entry {
        Entry::Begin { lineage, .. } => Some(State::empty(lineage)),
        _ => None,
    }
}

fn check_begin(entry: &Entry, origin: &Origin) -> Result<(), StoreError> {
    let Entry::Begin { lineage, serial, .. } = entry else { return Ok(()) };
    check_lineage(lineage, &origin.lineage)?;
    check_serial(*serial, origin.serial)
}

fn check_serial(expected: u64, found: u64) -> Result<(), StoreError> {
    if expected == found { Ok(()) } else { Err(StoreError::Stale { expected, found }) }
}

fn check_lineage(lineage: &str, stored: &str) -> Result<(), StoreError> {
    if lineage == stored {
        return Ok(());
    }
    Err(StoreError::Mismatch(format!(
        "this run began on lineage {lineage}, but the store is of lineage {stored}: plan again"
    )))
}

#[cfg(test)]
mod tests;
