//! The pure room: configuration → graph → plan → record.
//!
//! Text and data in, data out. Nothing here reads a file, a clock, the environment or the network.

pub mod check;
pub mod config;
pub mod diag;
pub mod graph;
pub mod ident;
pub mod ledger;
pub mod overlay;
pub mod plan;
pub mod record;
pub mod redact;
pub mod rollback;
pub mod schema;
pub mod state;
pub mod text;
pub mod value;
pub mod yaml;
