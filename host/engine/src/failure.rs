//! Why something was not done, for the person who has to do something about it.

use ss_core::text::printable;
use ss_gate::call::FailureKind;
use ss_ports::{CallError, StoreError, VaultError};

/// Longest message of a provisioner.
const CHARACTERS_MAX: usize = 2_000;

/// A failure with its stable code and the ways out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// `SS0xxx`; `ss explain` has a page for it.
    pub code: &'static str,
    /// What happened, in a sentence.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new() }
    }

    /// Adds a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What a provisioner or its end says, made safe to print: on the terminal, in the receipt, in the journal.
    pub(crate) fn from_call(provider: &str, error: CallError) -> Self {
        let mut failure = Self::raw_from_call(provider, error);
        failure.message = printable(&failure.message, CHARACTERS_MAX);
        failure.hints = failure.hints.iter().map(|hint| printable(hint, CHARACTERS_MAX)).collect();
        failure
    }

    fn raw_from_call(provider: &str, error: CallError) -> Self {
        match error {
            CallError::Failed(failure) => {
                let (code, verb) = match failure.kind {
                    FailureKind::Invalid => ("SS0310", "cannot use this configuration"),
                    FailureKind::Unauthorized => ("SS0311", "was not let in"),
                    FailureKind::Declined => ("SS0312", "was declined"),
                    FailureKind::Conflict => ("SS0313", "met a conflict"),
                    FailureKind::Unavailable => ("SS0314", "could not reach the vendor's service"),
                    FailureKind::Broken => ("SS0315", "failed"),
                };
                Self::new(code, format!("provisioner `{provider}` {verb}: {}", failure.message))
            }
            CallError::Trapped { message, stderr } => {
                let mut failure =
                    Self::new("SS0320", format!("provisioner `{provider}` crashed: {message}"));
                if !stderr.is_empty() {
                    failure = failure.hint(format!("it printed: {stderr}"));
                }
                failure.hint("this is a defect in the provisioner; report it to its author")
            }
            CallError::Exhausted(message) => {
                Self::new("SS0321", format!("provisioner `{provider}` was stopped: {message}"))
            }
            CallError::Unusable(message) => {
                Self::new("SS0322", format!("provisioner `{provider}` cannot be used: {message}"))
            }
            CallError::Aborted(abort) => Self::new("SS0330", abort.0),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Locked(_) => Self::new("SS0401", error.to_string())
                .hint("wait until it ends; a run that was killed lets go by itself; `ss unlock` shows who holds the lock"),
            StoreError::Stale { .. } => Self::new("SS0402", error.to_string()).hint("another run came first: plan again"),
            StoreError::Mismatch(_) => Self::new("SS0403", error.to_string()),
            StoreError::Lost(_) => Self::new("SS0411", error.to_string())
                .hint("nothing was sent or written since; what was done before is recorded")
                .hint("run the same command again: it goes on where this run or the other one stopped"),
            StoreError::Damaged(_) => Self::new("SS0404", error.to_string()),
            StoreError::Io(_) => Self::new("SS0405", error.to_string())
                .hint("what was done is kept in the journal as far as it could be written; make room or give access, then run the command again"),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        match &error {
            VaultError::Unreadable(_) => Self::new("SS0501", error.to_string()),
            VaultError::Unwritable(_) => Self::new("SS0502", error.to_string()),
        }
    }
}
