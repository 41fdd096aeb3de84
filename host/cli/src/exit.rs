//! Exit codes: one table, with names. `docs/cli.md` shows it; each is tested.

/// How `ss` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// Something was not.
    Failed = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// The configuration is not valid.
    Invalid = 3,
    /// `ss drift` found drift.
    Drift = 4,
    /// Another run holds the lock.
    Locked = 5,
    /// A grant or a guard refused.
    Refused = 6,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
