//! Why a call did not succeed, and whose turn it is.

use std::fmt;

use serde_json::Value;

use crate::{CallError, CallErrorKind};

/// Whose turn it is after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The user's configuration cannot work; they must change it.
    Invalid,
    /// The credential is missing, wrong, expired or lacks a right.
    Unauthorized,
    /// The vendor refuses: a quota, a plan, a policy.
    Declined,
    /// The resource exists already, or someone else changed it at the same time.
    Conflict,
    /// The vendor cannot answer now; the same call may work later.
    Unavailable,
    /// The resource or the vendor's answer is not as it should be.
    Broken,
}

/// Why a call did not succeed. The message says in one or two sentences what happened and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// What happened and what the user can do.
    pub message: String,
    /// When the same call may be tried again, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// Anything a program may want to know, an object.
    pub details: Option<Value>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None, details: None }
    }

    /// The user's configuration cannot work.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, message)
    }

    /// The credential is missing, wrong, expired or lacks a right.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unauthorized, message)
    }

    /// The vendor refuses.
    pub fn declined(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Declined, message)
    }

    /// The resource exists already, or changed meanwhile.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Conflict, message)
    }

    /// The vendor cannot answer now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// The resource or the answer is not as it should be.
    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Broken, message)
    }

    /// Says when the same call may be tried again.
    pub fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Adds what a program may want to know, an object.
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let kind = match error.kind {
            CallErrorKind::Denied => FailureKind::Declined,
            CallErrorKind::TooLarge => FailureKind::Broken,
            CallErrorKind::TimedOut
            | CallErrorKind::Unreachable
            | CallErrorKind::OutcomeUnknown => FailureKind::Unavailable,
        };
        Self::new(kind, error.message)
    }
}
