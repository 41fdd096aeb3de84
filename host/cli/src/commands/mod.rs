//! One file a command: arguments in, output and an exit code out.

pub mod auth;
pub mod day_two;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod drift;
pub mod explain;
pub mod graph;
pub mod import;
pub mod init;
pub mod inspect;
pub mod plan;
pub mod plugin;
pub mod rollback;
pub mod sandbox;
pub mod schema;
pub mod selftest;
pub mod shell;
pub mod state;
pub mod trust;
pub mod unlock;
pub mod validate;
pub mod vault;
