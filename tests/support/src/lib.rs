//! Fakes of the ports, for every room's tests. The binary uses the store and the vault in memory for `ss plugin test`, and
//! nothing else of this.

mod clock;
mod host;
pub mod sample;
pub mod servers;
mod store;
mod store_suite;
mod vault;

pub use clock::FixedClock;
pub use host::{Events, HostEvent, ScriptedHost};
pub use store::MemoryStore;
pub use store_suite::{Place, state_store_suite};
pub use vault::MemoryVault;
