//! One small trait per boundary of the engine, and the data that crosses it.
//!
//! Roles only: the rooms that implement them (`ss-wasm`, `ss-egress`, `ss-vault`, `ss-store`) do not know each other.

mod clock;
mod egress;
mod events;
mod host_calls;
mod provisioner;
mod store;
mod vault;

pub use clock::Clock;
pub use egress::{Egress, EgressError, Exchange, HttpReply, HttpRequest, RetryRules};
pub use events::{Event, EventSink};
pub use host_calls::{Abort, HostCalls};
pub use provisioner::{CallError, Plugin, Provisioner, Provisioners, UnknownTarget};
pub use store::{
    CallId, CallKind, DeployHeader, DeployStatus, Entry, Holder, Lease, OpenCall, Receipt,
    Receipts, RequestCount, RequestLine, ServiceReceipt, Snapshot, StateStore, StoreError, Stored,
    TAPE_BYTES_MAX, TapeEnd, TapeRecord, TapeWriter,
};
pub use vault::{Vault, VaultError};
