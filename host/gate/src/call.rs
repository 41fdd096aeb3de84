//! What crosses the boundary between a provisioner and the host, as plain data.
//!
//! The same shapes as `wit/`, independent of any runtime. Secrets are indexes here, never values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A secret of the current call, by its index in the call's secret table.
pub type SecretIndex = u32;

/// A secret and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSecret {
    /// An environment name, a JSON pointer, or a template placeholder.
    pub name: String,
    /// The index.
    pub value: SecretIndex,
}

/// A parameter of a call, or a header of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// The name as the operation declares it; lower case for headers.
    pub name: String,
    /// The value, not yet encoded.
    pub value: String,
}

/// Puts a secret into the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// Which secret.
    pub value: SecretIndex,
}

/// One call of a declared operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The operation's name.
    pub operation: String,
    /// Values for the parameters of its route.
    pub params: Vec<Param>,
    /// A JSON body, not yet filled.
    pub body: Option<Vec<u8>>,
    /// Secrets to put into the body.
    pub fill: Vec<Fill>,
}

/// The vendor's answer as the provisioner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The headers the operation declares, and `retry-after`.
    pub headers: Vec<Param>,
    /// The body, secrets replaced by `secret#N`.
    pub body: Vec<u8>,
    /// The secrets that were replaced, by the pointer they stood at.
    pub captured: Vec<NamedSecret>,
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallFailureKind {
    /// The gate refused; nothing was sent.
    Denied,
    /// No answer in time, and repeating is safe.
    TimedOut,
    /// The vendor cannot be reached; nothing was done.
    Unreachable,
    /// The reply is larger than allowed.
    TooLarge,
    /// An unsafe request was sent and its answer is lost.
    OutcomeUnknown,
}

/// Why there is no reply, with a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailure {
    /// The kind.
    pub kind: CallFailureKind,
    /// The sentence; names the rule for a denial.
    pub message: String,
}

/// What the user wants, as a provisioner gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceInput {
    /// The service's id.
    pub id: String,
    /// The `target` block, defaults filled in.
    pub target: Value,
    /// What `inject_from` hands over.
    pub inputs: Vec<NamedSecret>,
    /// The service's tag (`ss_core::state::mark`).
    pub mark: String,
}

/// What is kept about a resource. Never a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// The vendor's id.
    pub id: String,
    /// The facts that drift detection compares, an object.
    pub attributes: Value,
    /// Where it is reached, without a password.
    pub url: Option<String>,
    /// Version of the shape of `attributes`.
    pub schema: u32,
}

/// What `apply` made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The record.
    pub made: ResourceRecord,
    /// Credentials for other services.
    pub outputs: Vec<NamedSecret>,
    /// One line for a person.
    pub summary: String,
}

/// Whose turn it is after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The user's configuration cannot work.
    Invalid,
    /// The credential is missing, wrong, expired or lacks a right.
    Unauthorized,
    /// The vendor refuses: a quota, a plan, a policy.
    Declined,
    /// The resource exists already or changed meanwhile.
    Conflict,
    /// The vendor cannot answer now.
    Unavailable,
    /// The resource or the answer is not as it should be.
    Broken,
}

impl FailureKind {
    /// The kind's name as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Declined => "declined",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Broken => "broken",
        }
    }
}

/// A provisioner's own answer that it did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// What happened and what to do.
    pub message: String,
    /// When to try again, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// For programs, an object.
    pub details: Option<Value>,
}
