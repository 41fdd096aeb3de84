//! Where a plugin comes from, which one it is exactly, and what the user allowed it.
//!
//! So far a reference is the path of a component. One to a registry is recognised and answered with an error of its
//! own; nothing is fetched. What a component may want is told to this room as lines of text, it never loads one.
//!
//! # The lock file
//!
//! `starsystem.lock` is JSON beside `starsystem.yaml`, to be committed: a list in the order in which plugins were
//! first used, so that two branches that each add one merge.
//!
//! ```json
//! {
//!   "version": 1,
//!   "plugins": [
//!     {
//!       "name": "demo",
//!       "reference": "./plugins/demo.wasm",
//!       "digest": "sha256:…",
//!       "version": "0.1.0",
//!       "granted": ["demo-api: GET /things", "demo-api: POST /things (create)"]
//!     }
//!   ]
//! }
//! ```

mod grant;
mod lock;
mod reference;

pub use grant::{Candidate, Consent, Decision, InvalidConsent, Question, Rights};
pub use lock::{FILE_NAME, Lock, LockError, Locked, Pin};
pub use reference::{COMPONENT_BYTES_MAX, Component, Reference, ReferenceError, resolve};
