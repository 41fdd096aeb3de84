//! A scripted host for plain `cargo test`: expected calls in order, each with its answer.
//!
//! It keeps the rules that the real gate takes from the manifest, so that a test cannot do what a deploy could
//! not: only declared operations and parameters, writes only in their phase and only to owned ids, secrets
//! captured at the declared pointers. A broken rule, an unexpected call and a call that never came are
//! panics. Time is virtual: a wait takes no time. It opens no socket and is not compiled for WASM.

mod host;
mod manifest;
mod pointer;
mod script;

pub use manifest::Phase;
pub use script::{Checkpoint, Expectation, Run, Script};

pub(crate) use host::{checkpoint, compose, log, now_ms, random, send, step, wait};

use serde_json::Value;

use crate::{Provisioner, Service};

/// The mark of every [`service`].
pub const MARK: &str = "ss-test";

/// A service as the host would hand it over: the defaults of the manifest's schema filled in, no inputs,
/// [`MARK`] as its mark. The schema is that of `target.type`, or of the first target.
pub fn service<P: Provisioner>(id: &str, target: Value) -> Service<P::Target> {
    let target = manifest::Manifest::parse(P::MANIFEST).with_defaults(target);
    Service {
        id: id.to_owned(),
        target: serde_json::from_value(target).expect("the target has the shape of `Target`"),
        inputs: Vec::new(),
        mark: MARK.to_owned(),
    }
}
