//! What both vendors and the shell share.

use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::log::Log;

/// The sandbox's common ground; clones are the same ground.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The one time.
    pub clock: Clock,
    /// Installed faults.
    pub faults: Faults,
    /// What was asked.
    pub journal: Journal,
    /// For people.
    pub log: Log,
}
