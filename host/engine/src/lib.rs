//! The engine: executes a plan, finishes what was interrupted, reads what is there.
//!
//! It walks data and calls ports. It decides nothing (`ss_core::plan` does), permits nothing (`ss_gate` does) and
//! opens nothing.

mod call;
mod compose;
mod day_two;
mod execute;
mod failure;
mod observe;
mod recover;
mod run;
mod send;
mod session;
mod step;
mod tape;
mod tokens;

pub use day_two::{Executed, LogLine, LogPage, Offers, exec, logs};
pub use execute::{Report, execute, note_unchanged};
pub use failure::Failure;
pub use observe::{Observed, observe};
pub use recover::{Recovered, recover};
pub use run::{EnvCredential, Override, Ports, Run, Settings, Stop};
pub use tokens::{Tried, Verdict, try_token};
