//! The gate: what a provisioner may do, decided from data.
//!
//! Pure: no clock, no socket, no file. The engine asks before every request; nothing else grants anything.

pub mod call;
mod check;
pub mod decide;
pub mod manifest;
pub mod owned;
pub mod pointer;
mod rights;
pub mod route;
pub mod secrets;

pub use check::{ManifestError, TIMEOUT_MS_MAX};
pub use rights::rights;
