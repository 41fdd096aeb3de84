//! The one room that opens a socket.
//!
//! [`HttpEgress`] implements [`ss_ports::Egress`]: it resolves a name itself, checks every address, connects to a checked
//! one, sends, and reads a bounded answer. Politeness (limits, `Retry-After`, repeats) lives here once for all plugins.
//!
//! Absent on purpose: redirects (a 3xx is an answer like any other), cookies, compression, proxies (`HTTPS_PROXY` and its
//! kin are not read: a proxy would resolve the name, and no address could be checked), and secrets in any message.

mod address;
mod client;
mod destination;
mod egress;
mod failure;
mod limits;
mod options;
mod outgoing;
mod polite;
mod reply;
mod resolve;
mod retry;

pub use egress::HttpEgress;
pub use options::{EgressOptions, OnWait, Wait, WaitReason};
pub use resolve::{Resolver, SystemResolver};
