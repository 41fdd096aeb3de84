//! Hostile components, each run by the real binary: what they do is blocked as the table says, nothing unapproved
//! reaches the vendor, no secret gets anywhere, and the rest of the deploy goes on.

mod behaviours;
mod malformed;
mod wall;

mod ring;
mod server;
