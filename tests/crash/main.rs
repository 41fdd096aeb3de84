//! A run may end at any moment, in any way; the next one finishes the job.
//!
//! The real binary with its real provisioners runs against a sandbox through a proxy that spoils one request, or under
//! `strace`, which kills it in front of one system call. Then it runs again as a user would run it again, and what is
//! there must be what one undisturbed run makes: one project, one app, one machine, credentials that work, a plan
//! without changes, and no secret in any file.
//!
//! By default a sample is tried, a different one with each `SS_CRASH_SEED`; `SS_CRASH_EVERY=1` tries every point.

mod cases;
#[expect(dead_code, reason = "tests/cli needs more of it")]
#[path = "../cli/common/mod.rs"]
mod common;
mod cost;
mod elsewhere;
mod matrix;
mod proxy;
mod scenario;
mod signals;
mod strace;
mod team;
mod world;
