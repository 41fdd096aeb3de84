//! Real processes in place of virtual machines: start, watch, signal, log, probe, clean up.
//!
//! Knows nothing of Fly. Isolation is absent on purpose: a machine is a process group on this host
//! with its own port, its own environment and its own log.

pub mod log;
pub mod orphan;
pub mod probe;
pub mod process;
