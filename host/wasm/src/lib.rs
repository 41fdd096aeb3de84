//! Loads and calls provisioner components. The one room that says `wasmtime`.
//!
//! A component gets the contract of `wit/` and nothing else: no file, no socket, no clock of its own. Each call runs in
//! a fresh instance under limits and leaves nothing behind. Deciding and sending are absent: every import becomes a
//! call of [`ss_ports::HostCalls`].

mod abi;
mod bounded_host;
mod bounds;
mod cache;
mod code;
mod compiler;
mod describe;
mod engine;
mod first_party;
mod imports;
mod invocation;
mod limits;
mod load;
mod printed;
mod provisioner;
mod run;
mod state;
mod wall;
mod wasi;

pub use compiler::{compile_with, serve_compiler};
pub use first_party::first_party;
pub use imports::{ALLOWED_IMPORTS, AllowedImport, Answered, imports_of};
pub use limits::Limits;
pub use load::{LoadError, LoadFailure, load};
pub use provisioner::WasmProvisioner;
pub use wall::{Attempt, Wall, Walls, serve_wall};
