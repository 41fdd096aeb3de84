//! Builds components with cargo and compiles them to native code, while `ss` itself is built.
//!
//! For build scripts and tests only; nothing of it is in the binary.

mod guest;
mod native;

pub use guest::{BuildError, Workspace};
pub use native::{precompile, sha256};
