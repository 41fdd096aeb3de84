//! Sending one HTTP request. The only port behind which a socket is opened.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ss_core::ident::ServiceId;
use ss_core::redact::{Redacted, Secret};
use ss_gate::manifest::Rate;

/// A request, decided and complete.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The connection's name, for limits and messages.
    pub connection: String,
    /// The operation's name, for limits and messages.
    pub operation: String,
    /// On whose behalf, for traces; absent when a token is tried by itself.
    pub service: Option<ServiceId>,
    /// The path as the manifest has it, `/apps/{app}`, for traces: never a value.
    pub route: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// The whole URL, built by the gate.
    pub url: String,
    /// Whether it goes to this machine: loopback addresses only, named as such, and plain HTTP allowed. Every other request
    /// goes to public addresses only, over HTTPS.
    pub local: bool,
    /// The complete value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// Other request headers, lower-case names.
    pub headers: Vec<(String, String)>,
    /// The JSON body, secrets filled in.
    pub body: Option<Redacted<Vec<u8>>>,
    /// How long one attempt may take.
    pub timeout_ms: u32,
    /// What may be repeated.
    pub retry: RetryRules,
    /// The operation's rate limit and the key it is counted under.
    pub rate: Option<(Rate, String)>,
}

/// What the host may repeat by itself.
#[derive(Debug, Clone, Default)]
pub struct RetryRules {
    /// Whether the request may be sent again after any failure (GET, HEAD and repeatable operations).
    pub safe: bool,
    /// Statuses after which repeating is always safe.
    pub always: Vec<u16>,
    /// Statuses that are answers, and never a reason to repeat.
    pub answers: Vec<u16>,
    /// How many attempts in all, at least 1.
    pub attempts: u32,
    /// How long all attempts together may take, waits included; the first one always has its `timeout_ms`.
    pub total_ms: u32,
}

/// The answer, before secrets are taken out of it.
#[derive(Debug, Clone)]
pub struct HttpReply {
    /// HTTP status.
    pub status: u16,
    /// All headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body, within the cap. It was asked for uncompressed, and nothing else is accepted.
    pub body: Redacted<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Refused before anything was sent: an address, a scheme, a certificate.
    #[error("{0}")]
    Refused(String),
    /// Could not connect; nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// Sent, perhaps; the answer did not come (in time, whole, or readable). Of several attempts, one is enough.
    #[error("{0}")]
    Lost(String),
    /// An answer came, so the request was carried out or refused; it is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
}

/// What happened on the wire for one request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The last attempt's end.
    pub result: Result<HttpReply, EgressError>,
    /// How many attempts were made; 0 when the URL itself was refused.
    pub attempts: u32,
    /// Bytes of the reply's body.
    pub bytes: u64,
    /// From the start of the first attempt to the end of the last, waits between them included.
    pub duration_ms: u64,
}

/// Sends requests. Politeness (limits, Retry-After, repeats) lives behind it, once for all plugins.
#[async_trait]
pub trait Egress: Send + Sync {
    /// Sends one request and gives what came of it.
    async fn send(&self, request: HttpRequest) -> Exchange;
}
