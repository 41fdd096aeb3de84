//! Hostile components, and what becomes of them when a given `ss` runs them: each in a project with honest neighbours,
//! against a vendor on 127.0.0.1 that writes every request down and tells them every secret it knows.
//!
//! `ss sandbox selftest` tries the installed binary with it, the tests of the command line the one that was built.

mod arena;
mod behaviours;
mod canary;
mod component;
mod ring;
mod trial;
mod vendor;

pub use arena::Arena;
pub use behaviours::{Act, Behaviour, Group, Reached, Stopped, behaviours};
pub use canary::{Canary, holds};
pub use component::hostile;
pub use ring::{Output, Ring};
pub use trial::{Trial, try_all};
