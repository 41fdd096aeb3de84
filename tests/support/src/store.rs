//! A state store in memory, which keeps the same promises as the one on disk; `suite` checks both.
//!
//! A clone is the same store: drop an engine, make another on a clone, and it has crashed and begun again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ss_core::ident::DeployId;
use ss_core::record::fold;
use ss_core::state::State;
use ss_ports::{
    CallId, Entry, Holder, Lease, Receipt, Receipts, Snapshot, StateStore, StoreError, Stored,
    TapeRecord, TapeWriter,
};

/// A state store in memory.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    state: Option<State>,
    journal: Vec<Entry>,
    holder: Option<Holder>,
    receipts: BTreeMap<DeployId, Receipt>,
    snapshots: BTreeMap<DeployId, Snapshot>,
    tapes: BTreeMap<CallId, Vec<TapeRecord>>,
}

impl MemoryStore {
    /// The journal since the last commit.
    pub fn journal(&self) -> Vec<Entry> {
        self.kept().journal.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }
}

struct MemoryLease(MemoryStore);

impl Lease for MemoryLease {
    fn is_held(&self) -> bool {
        self.0.kept().holder.is_some()
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        self.0.kept().holder = None;
    }
}

struct MemoryTape {
    store: MemoryStore,
    call: CallId,
}

#[async_trait]
impl TapeWriter for MemoryTape {
    async fn append(&mut self, record: &TapeRecord, _durable: bool) -> Result<(), StoreError> {
        self.store.kept().tapes.entry(self.call.clone()).or_default().push(record.clone());
        Ok(())
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn lock(&self, holder: Holder) -> Result<Box<dyn Lease>, StoreError> {
        let mut kept = self.kept();
        if let Some(holder) = &kept.holder {
            return Err(StoreError::Locked(holder.clone()));
        }
        kept.holder = Some(holder);
        Ok(Box::new(MemoryLease(self.clone())))
    }

    async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        Ok(self.kept().holder.clone())
    }

    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let kept = self.kept();
        let Some(state) = kept.state.clone() else { return Ok(None) };
        let folded = fold(state, &kept.journal);
        let (state, open, unfinished) = (folded.state, folded.open, folded.unfinished);
        Ok(Some(Stored { state, open, unfinished }))
    }

    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut kept = self.kept();
        match (entry, &kept.state) {
            (Entry::Begin { lineage, serial, .. }, None) => {
                check_serial(*serial, 0)?;
                kept.state = Some(State::empty(lineage));
            }
            (Entry::Begin { lineage, serial, .. }, Some(state)) => {
                check_lineage(lineage, state)?;
                check_serial(*serial, state.serial)?;
            }
            (_, None) => {
                return Err(StoreError::Mismatch("a run begins with its `begin` entry".to_owned()));
            }
            (_, Some(_)) => {}
        }
        kept.journal.push(entry.clone());
        Ok(())
    }

    async fn commit(&self, state: &State, expected: u64) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        if let Some(stored) = &kept.state {
            check_lineage(&state.lineage, stored)?;
        }
        check_serial(expected, kept.state.as_ref().map_or(0, |stored| stored.serial))?;
        let serial = expected + 1;
        kept.state = Some(State { serial, ..state.clone() });
        kept.journal.clear();
        Ok(serial)
    }

    async fn replace(&self, state: &State) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let serial = kept.state.as_ref().map_or(0, |stored| stored.serial).max(state.serial) + 1;
        kept.state = Some(State { serial, ..state.clone() });
        kept.journal.clear();
        Ok(serial)
    }

    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError> {
        self.kept().tapes.insert(call.clone(), Vec::new());
        Ok(Box::new(MemoryTape { store: self.clone(), call: call.clone() }))
    }

    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError> {
        Ok(self.kept().tapes.get(call).cloned())
    }

    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.kept().receipts.insert(receipt.header.id.clone(), receipt.clone());
        Ok(())
    }

    async fn receipts(&self) -> Result<Receipts, StoreError> {
        let mut found: Vec<Receipt> = self.kept().receipts.values().cloned().collect();
        found.sort_by_key(|receipt| std::cmp::Reverse(receipt.header.started_ms));
        Ok(Receipts { found, damaged: Vec::new() })
    }

    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.kept().snapshots.insert(snapshot.deploy.clone(), snapshot.clone());
        Ok(())
    }

    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.kept().snapshots.get(deploy).cloned())
    }

    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError> {
        let old = self.receipts().await?.into_iter().skip(keep);
        let mut old: Vec<DeployId> = old.map(|receipt| receipt.header.id).collect();
        let mut kept = self.kept();
        old.retain(|id| kept.journal.iter().all(|entry| entry.deploy() != id));
        kept.receipts.retain(|id, _| !old.contains(id));
        kept.snapshots.retain(|id, _| !old.contains(id));
        kept.tapes.retain(|call, _| !old.contains(&call.deploy));
        Ok(old)
    }
}

fn check_serial(expected: u64, found: u64) -> Result<(), StoreError> {
    if expected == found { Ok(()) } else { Err(StoreError::Stale { expected, found }) }
}

fn check_lineage(lineage: &str, stored: &State) -> Result<(), StoreError> {
    if lineage == stored.lineage {
        return Ok(());
    }
    Err(StoreError::Mismatch(format!("the store is of lineage {}, not {lineage}", stored.lineage)))
}
