//! What happens during a run, as it happens: for the terminal and for telemetry.

use ss_core::ident::ServiceId;
use ss_core::plan::Action;

/// Something that happened. Text in it is already scrubbed and safe to print.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A service's turn has come.
    Started {
        /// Which.
        service: ServiceId,
        /// Its target type.
        provider: String,
        /// What is done.
        action: Action,
    },
    /// A provisioner finished a step.
    Step {
        /// Which service.
        service: ServiceId,
        /// The step.
        message: String,
    },
    /// A provisioner wrote a log line.
    Log {
        /// Which service.
        service: ServiceId,
        /// The line.
        message: String,
    },
    /// The service waits for the vendor.
    Waiting {
        /// Which service.
        service: ServiceId,
        /// For what.
        reason: String,
    },
    /// A service is done.
    Finished {
        /// Which.
        service: ServiceId,
        /// What was done.
        action: Action,
        /// How it ended: `Ok` with a summary or `Err` with the reason.
        result: Result<String, String>,
        /// How long it took.
        duration_ms: u64,
    },
    /// A service was not tried, because one it stands on failed.
    Blocked {
        /// Which.
        service: ServiceId,
        /// The one that failed.
        by: ServiceId,
    },
}

/// Hears of every event. Must not block.
pub trait EventSink: Send + Sync {
    /// Takes one.
    fn event(&self, event: Event);
}
