//! The engine: executes a plan, finishes what was interrupted, reads what is there, goes back.
//!
//! It walks data and calls ports. It decides nothing (`ss_core::plan` does), permits nothing (`ss_gate` does) and
//! opens nothing.

mod amend;
mod call;
mod compose;
mod day_two;
mod execute;
mod failure;
mod import;
mod observe;
mod recover;
mod rollback;
mod run;
mod send;
mod session;
mod snapshot;
mod step;
mod tape;
mod tokens;

pub use amend::adopt;
pub use day_two::{Executed, LogLine, LogPage, Offers, exec, logs};
pub use execute::{Report, execute, note_unchanged};
pub use failure::Failure;
pub use import::{Imported, import};
pub use observe::{Observed, observe};
pub use recover::{Recovered, recover};
pub use rollback::{RolledBack, roll_back};
pub use run::{EnvCredential, Override, Ports, Run, Settings, Stop};
pub use tokens::{Tried, Verdict, try_token};
