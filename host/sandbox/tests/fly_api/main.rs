//! The Fly half of the sandbox, seen from outside: one test or more per line F1–F25 of the checklist.
//!
//! Everything is real but the cloud: HTTP on loopback, processes, the clock's jumps. Each answer is
//! also checked against Fly's own OpenAPI document when it is at hand (`spec`).

mod apps;
mod checks;
mod crash;
mod leases;
mod lifecycle;
mod lists;
mod login;
mod machines;
mod platform;
mod proxy;
mod resources;
mod spec;
mod support;
mod updates;
mod waiting;
