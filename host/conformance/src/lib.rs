//! The conformance kit: tries a provisioner, in whatever language, against everything that goes wrong.
//!
//! The real engine walks real plans with the component under test; only the store and the vault are in memory, time goes
//! faster, and the way out is spoiled at every request in turn. Nothing here knows a vendor: what to ask for, and where
//! the fake of the API listens, stands in a [`Case`].

mod bench;
mod case;
mod checks;
mod clock;
mod crowd;
mod fake;
mod fault;
mod lint;
mod log;
mod report;
mod spoil;
mod storm;
mod subject;
mod watch;

pub use bench::Bench;
pub use case::{Case, CaseError, Inventory};
pub use checks::lifecycle;
pub use clock::QuickClock;
pub use fake::{Fake, free_port};
pub use fault::Fault;
pub use lint::{Remark, lint};
pub use report::{Finding, Report, Verdict};
pub use storm::{Scenario, storm};
pub use subject::{Ended, Subject, Wanted};
