//! What the wiring decides: bounds, trust, name resolution, and who hears of long waits.

use std::fmt;
use std::sync::Arc;

use crate::resolve::{Resolver, SystemResolver};

/// Called before a wait of more than two seconds.
pub type OnWait = Arc<dyn Fn(&Wait) + Send + Sync>;

/// The settings of an [`HttpEgress`](crate::HttpEgress). The defaults are for talking to the internet.
#[derive(Clone)]
pub struct EgressOptions {
    /// How many bytes of an answer's body are read at most.
    pub body_bytes_max: usize,
    /// How many bytes an answer's headers may have together; at least 8 KiB. Beyond it the answer counts as lost.
    pub header_bytes_max: usize,
    /// Certificates (DER) trusted as roots beside Mozilla's, for local and public destinations alike.
    pub extra_roots: Vec<Vec<u8>>,
    /// Turns names into addresses; every answer is checked, whoever gives it.
    pub resolver: Arc<dyn Resolver>,
    /// Hears of waits, so that a person can be told.
    pub on_wait: Option<OnWait>,
}

impl Default for EgressOptions {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 * 1024 * 1024,
            header_bytes_max: 64 * 1024,
            extra_roots: Vec::new(),
            resolver: Arc::new(SystemResolver),
            on_wait: None,
        }
    }
}

/// A wait that is about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The connection that waits.
    pub connection: String,
    /// The operation that waits.
    pub operation: String,
    /// How long, in milliseconds.
    pub duration_ms: u64,
    /// Why.
    pub reason: WaitReason,
}

/// Why a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// The operation's declared rate limit.
    RateLimit,
    /// The vendor answered with this status and said when to come back.
    RetryAfter(u16),
    /// The vendor answered with this status.
    Status(u16),
    /// The vendor could not be reached, or its answer was lost.
    NoAnswer,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimit => formatter.write_str("rate limit"),
            Self::RetryAfter(status) => write!(formatter, "asked to wait ({status})"),
            Self::Status(status) => write!(formatter, "answered {status}"),
            Self::NoAnswer => formatter.write_str("no answer"),
        }
    }
}
