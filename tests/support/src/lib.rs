//! Fakes of the ports, for every room's tests. Nothing here is used by the binary.

mod clock;
mod host;
pub mod sample;
mod store;
mod store_suite;
mod vault;

pub use clock::FixedClock;
pub use host::{Events, HostEvent, ScriptedHost};
pub use store::MemoryStore;
pub use store_suite::{Place, state_store_suite};
pub use vault::MemoryVault;
