//! Ports that write down what passes them, in one order, and that fail where a test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use ss_core::ident::DeployId;
use ss_core::record::CallEnd;
use ss_core::redact::{Redacted, Secret};
use ss_core::state::State;
use ss_ports::{
    CallId, Egress, EgressError, Entry, Exchange, Holder, HttpRequest, Lease, Receipt, Receipts,
    Snapshot, StateStore, StoreError, Stored, TAPE_BYTES_MAX, TapeRecord, TapeWriter, Vault,
    VaultError,
};
use ss_testkit::{MemoryStore, MemoryVault};

use crate::cloud::Cloud;
use crate::faults::{Fault, Faults};

/// What passed the ports, in order, and every text that was written in the open.
#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
    written: Mutex<Vec<String>>,
}

impl Log {
    fn line(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn text(&self, value: &Value) {
        self.written.lock().unwrap().push(value.to_string());
    }

    /// What passed the ports so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Everything that was written in the open so far.
    pub fn written(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }
}

/// A short name for an entry.
pub fn name(entry: &Entry) -> String {
    match entry {
        Entry::Begin { .. } => "begin".to_owned(),
        Entry::Intent { call, continues: None, .. } => format!("intent {}", call.service),
        Entry::Intent { call, .. } => format!("intent {} goes on", call.service),
        Entry::Checkpoint { call, .. } => format!("checkpoint {}", call.service),
        Entry::Outcome { call, end } => {
            let end = match end {
                CallEnd::Done { .. } => "done",
                CallEnd::Gone => "gone",
                CallEnd::Failed { .. } => "failed",
                CallEnd::Untouched { .. } => "untouched",
            };
            format!("{end} {}", call.service)
        }
        Entry::End { .. } => "end".to_owned(),
    }
}

/// What calls wrote into a state, without what is noted of unchanged services.
fn called(state: &State) -> State {
    let mut state = State { serial: 0, deploy: None, ..state.clone() };
    for record in state.services.values_mut() {
        record.protect = false;
        record.depends_on.clear();
    }
    state
}

fn full(fault: Option<Fault>) -> Result<(), StoreError> {
    match fault {
        Some(Fault::DiskFull | Fault::DiskFullOnce) => {
            Err(StoreError::Io("no space left on device".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The store, watched.
pub struct WatchedStore {
    inner: MemoryStore,
    faults: Arc<Faults>,
    log: Arc<Log>,
}

impl WatchedStore {
    pub fn new(inner: &MemoryStore, faults: &Arc<Faults>, log: &Arc<Log>) -> Self {
        Self { inner: inner.clone(), faults: faults.clone(), log: log.clone() }
    }
}

#[async_trait]
impl StateStore for WatchedStore {
    async fn lock(&self, holder: Holder) -> Result<Box<dyn Lease>, StoreError> {
        self.inner.lock(holder).await
    }

    async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        self.inner.holder().await
    }

    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        self.inner.load().await
    }

    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        full(self.faults.pass().await)?;
        self.log.line(name(entry));
        self.log.text(&json!(entry));
        self.inner.append(entry).await?;
        self.faults.pass().await;
        Ok(())
    }

    async fn commit(&self, state: &State, expected: u64) -> Result<u64, StoreError> {
        full(self.faults.pass().await)?;
        self.log.line("commit".to_owned());
        self.log.text(&json!(state));
        let journaled = self.inner.load().await?.expect("a run begins before it commits").state;
        // A run without a call (a rollback, an import) changes what is recorded with its commit alone.
        if self.inner.journal().iter().any(|entry| matches!(entry, Entry::Intent { .. })) {
            assert_eq!(called(&journaled), called(state), "a commit says what the journal says");
        }
        let serial = self.inner.commit(state, expected).await?;
        self.faults.pass().await;
        Ok(serial)
    }

    async fn replace(&self, state: &State) -> Result<u64, StoreError> {
        self.inner.replace(state).await
    }

    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError> {
        full(self.faults.pass().await)?;
        let inner = self.inner.tape(call).await?;
        let (faults, log) = (self.faults.clone(), self.log.clone());
        Ok(Box::new(WatchedTape { inner, faults, log, cached: Vec::new() }))
    }

    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError> {
        self.inner.read_tape(call).await
    }

    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        full(self.faults.pass().await)?;
        self.log.line(format!("receipt {}", receipt.status.as_str()));
        self.log.text(&json!(receipt));
        self.inner.put_receipt(receipt).await?;
        self.faults.pass().await;
        Ok(())
    }

    async fn receipts(&self) -> Result<Receipts, StoreError> {
        self.inner.receipts().await
    }

    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        full(self.faults.pass().await)?;
        self.log.line("snapshot".to_owned());
        self.log.text(&json!(snapshot));
        self.inner.put_snapshot(snapshot).await
    }

    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(deploy).await
    }

    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError> {
        self.inner.prune(keep).await
    }
}

/// A tape that keeps what need not be durable in a cache, and loses the cache when the run is killed.
struct WatchedTape {
    inner: Box<dyn TapeWriter>,
    faults: Arc<Faults>,
    log: Arc<Log>,
    cached: Vec<TapeRecord>,
}

#[async_trait]
impl TapeWriter for WatchedTape {
    fn length(&self) -> u64 {
        if self.faults.is(Fault::TapeFull) { TAPE_BYTES_MAX + 1 } else { 0 }
    }

    async fn append(&mut self, record: &TapeRecord, durable: bool) -> Result<(), StoreError> {
        full(self.faults.pass().await)?;
        let how = if durable { "durably" } else { "in the cache" };
        match record {
            TapeRecord::Request { call, .. } => {
                self.log.line(format!("tape {} {how}", call.operation));
            }
            TapeRecord::Checkpoint(_) => self.log.line("tape checkpoint".to_owned()),
            TapeRecord::Reply { .. } => self.log.line(format!("tape answer {how}")),
            _ => {}
        }
        self.cached.push(record.clone());
        if durable || self.faults.is(Fault::KilledLate) {
            for record in self.cached.drain(..) {
                self.inner.append(&record, true).await?;
            }
        }
        self.faults.pass().await;
        Ok(())
    }
}

/// The vault, watched.
pub struct WatchedVault {
    inner: Arc<MemoryVault>,
    faults: Arc<Faults>,
    log: Arc<Log>,
}

impl WatchedVault {
    pub fn new(inner: &Arc<MemoryVault>, faults: &Arc<Faults>, log: &Arc<Log>) -> Self {
        Self { inner: inner.clone(), faults: faults.clone(), log: log.clone() }
    }
}

#[async_trait]
impl Vault for WatchedVault {
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.inner.token(name).await
    }

    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError> {
        if self.faults.is(Fault::VaultLocked) {
            return Err(VaultError::Unreadable("the identity is not here".to_owned()));
        }
        self.inner.credentials().await
    }

    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        full(self.faults.pass().await)
            .map_err(|error| VaultError::Unwritable(error.to_string()))?;
        self.log.line(format!("vault {service}"));
        self.inner.replace_credentials(service, values).await?;
        self.faults.pass().await;
        Ok(())
    }

    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.digest_key().await
    }

    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.inner.seal(plain).await
    }

    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.open(sealed).await
    }
}

/// The way to the vendor, watched.
pub struct Wire {
    cloud: Arc<Cloud>,
    faults: Arc<Faults>,
    log: Arc<Log>,
}

impl Wire {
    pub fn new(cloud: &Arc<Cloud>, faults: &Arc<Faults>, log: &Arc<Log>) -> Self {
        Self { cloud: cloud.clone(), faults: faults.clone(), log: log.clone() }
    }

    async fn result(&self, request: &HttpRequest) -> Result<ss_ports::HttpReply, EgressError> {
        if self.faults.pass().await == Some(Fault::Offline) {
            return Err(EgressError::Unreachable("no route to host".to_owned()));
        }
        self.log.line(format!("send {}", request.operation));
        let reply = self.cloud.take(request);
        // The others get their turn while this one waits for its answer.
        tokio::task::yield_now().await;
        if self.faults.pass().await == Some(Fault::Offline) {
            return Err(EgressError::Lost("the connection was cut".to_owned()));
        }
        reply
    }
}

#[async_trait]
impl Egress for Wire {
    async fn send(&self, request: HttpRequest) -> Exchange {
        let result = self.result(&request).await;
        let bytes = result.as_ref().map_or(0, |reply| reply.body.expose().len() as u64);
        Exchange { result, attempts: 1, bytes, duration_ms: 7 }
    }
}
