//! Whole lives of systems, simulated: what is wanted, what goes wrong and when all come from one seed.
//!
//! The engine and the store are the real ones; vault, cloud, clock and provisioner are fakes. Every use of a port is
//! a *step*, at which a run may be killed, its disk fill up, its request be lost. [`live`] runs a [`Case`] and says
//! which promise was broken, if any; [`shrink`](shrink()) looks for a smaller case that breaks one as well.
//! The same case takes the same course, always: no wall clock, no thread, no chance but the seed's.

mod case;
mod cloud;
mod points;
mod ports;
mod shrink;
mod store;
mod thing;
mod world;

pub use case::{Act, Case, Fault, Meddling, Spoil, Trouble, Wish};
pub use shrink::shrink;
pub use world::{Broken, Lived, live};
