//! What exists and what runs did, in a place that machines share: a bucket or a PostgreSQL database.
//!
//! Everything there is sealed to the vault's recipients before it leaves. Below the system's and environment's name:
//!
//! | object | what |
//! |---|---|
//! | `log/<n>` | state and journal (see `log.rs`) |
//! | `lease` | who may write (see `lease.rs`) |
//! | `receipts/<deploy>`, `snapshots/<deploy>` | one per run |
//! | `tapes/<deploy>/<service>-<n>/<m>` | a call's tape, one object per durable piece |
//! | `recipients` | who can read all this (see `readers.rs`) |
//! | `credentials` | what the services wrote, for the next machine |
//!
//! The place is the truth; the overlay's `_state` only notes kind, lineage and serial (see `note.rs`).

mod bucket;
mod http;
mod lease;
mod log;
mod note;
mod objects;
mod place;
mod postgres;
mod readers;
mod runs;
mod store;
mod tape;
mod tls;
mod vault;

pub use bucket::{Bucket, BucketSettings};
pub use lease::LEASE;
pub use objects::{Objects, Put, Version, When};
pub use postgres::{Postgres, PostgresSettings};
pub use readers::{AskReaders, Reader};
pub use store::RemoteStore;
pub use vault::SharedVault;
