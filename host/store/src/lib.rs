//! What exists and what runs did, in files of this machine: the embedded [`StateStore`](ss_ports::StateStore).
//!
//! # On disk
//!
//! Everything is 0600 in directories of 0700, below `systems/<name>/<env>/`:
//!
//! | file | what |
//! |---|---|
//! | `state.json` | the state as last committed |
//! | `journal.jsonl` | what the run since then did: one line per entry, each with a checksum over itself and the line before |
//! | `receipts/<deploy>.json`, `snapshots/<deploy>.json` | one per run |
//! | `tapes/<deploy>/<service>-<n>.tape` | one per provisioner call, sealed (see `tape.rs`) |
//! | `lock` | held by the kernel for the process that writes; the text in it only says who |
//!
//! The overlay's `_state` block is a copy of `state.json` for other machines.
//!
//! # The order of a commit
//!
//! 1. `state.json` with the next serial. From here on the commit has happened.
//! 2. The overlay's `_state`, into the text that the overlay has at this moment.
//! 3. `journal.jsonl`, empty, for the next serial.
//!
//! Each file is written beside its place, synced, renamed over it, and the directory synced. Killed before 1, the
//! old state and the whole journal are there. Killed before 2, the overlay is behind, which the next lease mends.
//! Killed before 3, the journal names an older serial than the state and is not read.
//!
//! # What is absent
//!
//! In the local store: no lock server, no clock, no network, no background work. The calls block their thread for as long as the disk
//! takes. A network file system that does not honour locks or syncs is not a place for it.

mod commit;
mod files;
mod journal;
mod lease;
mod local;
mod overlay;
mod reconcile;
mod remote;
mod runs;
mod tape;

pub use local::LocalStore;
pub use overlay::replace as replace_overlay;
pub use remote::{
    AskReaders, Bucket, BucketSettings, LEASE, Objects, Postgres, PostgresSettings, Put, Reader,
    RemoteStore, SharedVault, Version, When,
};
pub use runs::RUNS_KEPT;
