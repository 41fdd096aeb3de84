//! The real sender against real servers on this machine: what went over the wire decides, not what was meant.

mod answers;
mod cuts;
mod reach;
mod reuse;
mod server;
mod support;
mod tls;
