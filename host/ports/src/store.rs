//! What exists, what a run did, and who runs: durable.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use ss_core::ident::DeployId;
use ss_core::state::State;
use ss_gate::call::{Call, CallFailure, Failure, Outcome, Reply, ResourceRecord, ServiceInput};

pub use ss_core::record::{
    CallId, CallKind, DeployHeader, DeployStatus, Entry, OpenCall, Receipt, RequestCount,
    RequestLine, ServiceReceipt, Snapshot,
};

/// Why the store did not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Somebody else holds the lease.
    #[error("{} holds the lock", .0.describe())]
    Locked(Holder),
    /// The state moved on since it was loaded.
    #[error("the state is at serial {found}, this run began at {expected}")]
    Stale {
        /// What the writer knew.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The store and the overlay's `_state` do not fit together; says which is older and what to do.
    #[error("{0}")]
    Mismatch(String),
    /// This run had the lease and lost it; who has it now, if anybody has.
    #[error("this run lost the lock: {}", lost(.0.as_ref()))]
    Lost(Option<Holder>),
    /// A file is damaged or of a newer version. Nothing was changed.
    #[error("{0}")]
    Damaged(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
}

fn lost(to: Option<&Holder>) -> String {
    match to {
        Some(holder) => format!("{} has it now", holder.describe()),
        None => "it could not be renewed in time".to_owned(),
    }
}

/// Who holds the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process, and the machine it runs on.
    pub process: u32,
    /// The machine's name.
    pub host: String,
    /// What it does: `ss deploy --env=prod`.
    pub command: String,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: i64,
}

impl Holder {
    /// `ss deploy (process 12 on build-1)`.
    pub fn describe(&self) -> String {
        format!("`{}` (process {} on {})", self.command, self.process, self.host)
    }
}

/// The right to write, while it lives; given back when dropped.
pub trait Lease: Send + Sync {
    /// Whether it is still held. A writer asks before each commit.
    fn is_held(&self) -> bool;
}

/// What the store gives at the start of a run.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The state, journal folded in.
    pub state: State,
    /// Calls that a run that did not end left open.
    pub open: Vec<OpenCall>,
    /// The run that did not end.
    pub unfinished: Option<DeployHeader>,
}

/// One record of a call's tape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", content = "value", rename_all = "kebab-case")]
pub enum TapeRecord {
    /// The call begins, with all that goes in.
    Call {
        /// Which function.
        kind: CallKind,
        /// The service.
        service: Box<ServiceInput>,
        /// The values behind the service's inputs, in the order of the secret table.
        secrets: Vec<String>,
        /// The record that goes in.
        recorded: Option<Box<ResourceRecord>>,
    },
    /// A request is about to leave. Durable before an unsafe one does.
    Request {
        /// What was asked, before secrets were filled in.
        call: Call,
        /// Whether it is unsafe: neither GET, HEAD nor repeatable.
        writes: bool,
    },
    /// The request's end.
    Reply {
        /// The answer as the provisioner saw it, or why there is none.
        reply: Result<Reply, CallFailure>,
        /// The values behind `reply.captured`, in order.
        secrets: Vec<String>,
    },
    /// A partial record.
    Checkpoint(Box<ResourceRecord>),
    /// The time that was told.
    Now(f64),
    /// A wait that is over.
    Waited(u32),
    /// Random bytes that were given.
    Random(Vec<u8>),
    /// The call is over.
    Done(Box<TapeEnd>),
}

/// How a taped call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", content = "value", rename_all = "kebab-case")]
pub enum TapeEnd {
    /// `apply` succeeded.
    Applied(Outcome),
    /// `destroy` succeeded.
    Destroyed,
    /// The provisioner said no.
    Failed(Failure),
    /// The call broke.
    Broken(String),
}

/// How much a call's tape may hold before the call may send no further request.
pub const TAPE_BYTES_MAX: u64 = 32 << 20;

/// Writes one call's tape.
#[async_trait]
pub trait TapeWriter: Send {
    /// Adds a record. With `durable`, it is on disk when this returns; otherwise with the next durable one.
    async fn append(&mut self, record: &TapeRecord, durable: bool) -> Result<(), StoreError>;
    /// How much it holds, in bytes; 0 where nothing is kept for long.
    fn length(&self) -> u64 {
        0
    }
}

/// The receipts that are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Receipts {
    /// Those that can be read, newest first.
    pub found: Vec<Receipt>,
    /// Those that cannot, by file name with the reason. They do not hide the others.
    pub damaged: Vec<String>,
}

impl IntoIterator for Receipts {
    type Item = Receipt;
    type IntoIter = std::vec::IntoIter<Receipt>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

/// Remembers what exists and what a run did. A stale serial is an error, never an overwrite.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Takes the right to write.
    async fn lock(&self, holder: Holder) -> Result<Box<dyn Lease>, StoreError>;
    /// Who has the right to write, if anybody has. May take as long as a lease does to find that nobody lives.
    async fn holder(&self) -> Result<Option<Holder>, StoreError>;
    /// Loads the state, journal folded in. `None` before the first deploy.
    async fn load(&self) -> Result<Option<Stored>, StoreError>;
    /// Adds to the journal; durable when it returns. A run's first entry is its `Begin`, with the lineage and
    /// serial that `load` gave (or a new lineage and 0).
    async fn append(&self, entry: &Entry) -> Result<(), StoreError>;
    /// Writes the state with the serial after `expected`, also to the overlay's `_state`, and begins a new
    /// journal. Gives the new serial.
    async fn commit(&self, state: &State, expected: u64) -> Result<u64, StoreError>;
    /// Puts a state in the place of whatever is there, of another lineage or not, and begins a new journal: a
    /// person's word, never a run's. Gives its serial, which is higher than both. Only for the holder of the lease.
    async fn replace(&self, state: &State) -> Result<u64, StoreError>;
    /// Begins the tape of a call. One of the same call that is there already is set aside.
    async fn tape(&self, call: &CallId) -> Result<Box<dyn TapeWriter>, StoreError>;
    /// Reads a tape back; a torn end is left out. `None` when there is none.
    async fn read_tape(&self, call: &CallId) -> Result<Option<Vec<TapeRecord>>, StoreError>;
    /// Writes a receipt, over an earlier one of the same run.
    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError>;
    /// All receipts.
    async fn receipts(&self) -> Result<Receipts, StoreError>;
    /// Writes a snapshot.
    async fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError>;
    /// Reads a snapshot.
    async fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError>;
    /// Removes what is kept of all but this many runs, and says of which: the oldest go. Those that the journal speaks
    /// of stay. Only for the holder of the lease.
    async fn prune(&self, keep: usize) -> Result<Vec<DeployId>, StoreError>;
}
