//! The Neon half and the shell of the sandbox, seen from outside: a test or more per line C1–C5 and
//! N1–N22 of the checklist, named after it.
//!
//! Time stands still unless a test moves it, so nothing here depends on how fast the machine is.
//! Each answer is also checked against the vendor's own OpenAPI document when it is at hand.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod branches;
mod computes;
mod control;
mod document;
mod faults;
mod operations;
mod postgres;
mod projects;
mod restart;
mod roles;
mod secrets;
