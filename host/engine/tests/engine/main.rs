//! The engine against fakes: a scripted provisioner, a vendor in memory, and ports that die or fail where a test
//! says so. Nothing here is WebAssembly and nothing opens a socket.

mod cloud;
mod crashes;
mod execute;
mod failures;
mod faults;
mod import;
mod journal;
mod observe;
mod recover;
mod secrets;
mod send;
mod things;
mod tokens;
mod world;
