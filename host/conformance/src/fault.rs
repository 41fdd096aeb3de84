//! What can happen to one request.

use std::fmt;

/// What happens to one request, and only to that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `Retry-After`; nothing was done.
    TooMany,
    /// 500 with a JSON error; nothing was done.
    Internal,
    /// 503; nothing was done.
    Unavailable,
    /// 423, the vendor is busy with the same thing; nothing was done.
    Locked,
    /// 502 with the HTML page of a proxy; nothing was done.
    Html,
    /// It was done, and the answer came after half a minute.
    Slow,
    /// It was done, and half of the answer came.
    Truncated,
    /// It was done, and the answer is no JSON.
    Malformed,
    /// The connection was cut before the vendor did it.
    CutBefore,
    /// The connection was cut after the vendor did it.
    CutAfter,
    /// The same, and what was done shows in later answers only after a while.
    CutAndLagging,
    /// The connection was cut after the vendor did it, and lists shift between two pages while it is looked for.
    CutAndChurning,
    /// The answer is as old as the trial.
    Stale,
    /// The run is killed before the request leaves.
    KilledBefore,
    /// The run is killed before the answer arrives.
    KilledAfter,
}

/// What fits a read.
const READS: [Fault; 12] = [
    Fault::TooMany,
    Fault::Internal,
    Fault::Unavailable,
    Fault::Locked,
    Fault::Html,
    Fault::Slow,
    Fault::Truncated,
    Fault::Malformed,
    Fault::CutBefore,
    Fault::Stale,
    Fault::KilledBefore,
    Fault::KilledAfter,
];
/// What fits a write.
const WRITES: [Fault; 14] = [
    Fault::TooMany,
    Fault::Internal,
    Fault::Unavailable,
    Fault::Locked,
    Fault::Html,
    Fault::Slow,
    Fault::Truncated,
    Fault::Malformed,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::CutAndLagging,
    Fault::CutAndChurning,
    Fault::KilledBefore,
    Fault::KilledAfter,
];

impl Fault {
    /// The faults that fit a request.
    pub fn of(method: &str) -> &'static [Self] {
        if matches!(method, "GET" | "HEAD") { &READS } else { &WRITES }
    }

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "429",
            Self::Internal => "500",
            Self::Unavailable => "503",
            Self::Locked => "423",
            Self::Html => "html",
            Self::Slow => "slow",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::CutBefore => "cut-before",
            Self::CutAfter => "cut-after",
            Self::CutAndLagging => "cut-after-lagging",
            Self::CutAndChurning => "cut-after-churning",
            Self::Stale => "stale",
            Self::KilledBefore => "killed-before",
            Self::KilledAfter => "killed-after",
        }
    }

    /// What a provisioner should do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::TooMany | Self::Internal | Self::Unavailable | Self::Locked => {
                "fail with `unavailable` (and `retry-after` when it is said); the next run goes on from the record"
            }
            Self::Html | Self::Truncated | Self::Malformed => {
                "look at the status first, and treat a body that is not what it should be as a failure, never as an empty answer; \
                 after a write, look whether it took effect"
            }
            Self::Slow => {
                "do not take a slow answer for none: a deadline begins anew after each answer"
            }
            Self::CutBefore | Self::CutAfter => {
                "answer `outcome-unknown` with a look by the mark, then decide: the SDKs' `ensure` does so"
            }
            Self::CutAndLagging | Self::Stale => {
                "look more than once, with waits between, before you create again; the SDKs' `ensure` does so"
            }
            Self::CutAndChurning => {
                "read every page of a list, look again when it is not there, and know your own by the mark, not by its place in the list"
            }
            Self::KilledBefore | Self::KilledAfter => {
                "checkpoint as soon as an id is known, and put the mark where `adopts` in the manifest finds it again"
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
