//! Calling an operation of the manifest, and reading the answer.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::host::{self, raw};
use crate::{Attempt, Failure, FailureKind, NamedSecret, Secret, json};

/// One call of an operation that the manifest declares.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    call: raw::Call,
}

/// The vendor's answer, whatever its status: a 404 is a reply, not an error.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The operation that was called.
    pub operation: String,
    /// HTTP status.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    captured: Vec<NamedSecret>,
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The host refused; nothing was sent.
    Denied,
    /// No answer in time, and repeating is safe.
    TimedOut,
    /// The vendor cannot be reached; nothing was done.
    Unreachable,
    /// The reply is larger than the host allows.
    TooLarge,
    /// The request was sent and its answer is lost: it may or may not have taken effect.
    OutcomeUnknown,
}

/// Why there is no reply, with a sentence. Becomes a [`Failure`] with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The kind.
    pub kind: CallErrorKind,
    /// The sentence.
    pub message: String,
}

impl Request {
    /// A call of an operation.
    pub fn new(operation: impl Into<String>) -> Self {
        let call = raw::Call {
            operation: operation.into(),
            params: Vec::new(),
            body: None,
            fill: Vec::new(),
        };
        Self { call }
    }

    /// Gives a parameter its value: one of the route's, a query parameter, or a declared request header.
    pub fn param(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.call.params.push((name.into(), value.to_string()));
        self
    }

    /// Gives a parameter its value when there is one.
    pub fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.param(name, value),
            None => self,
        }
    }

    /// Sets the body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("a body is plain data with string keys");
        self.call.body = Some(body);
        self
    }

    /// Puts a secret into the body at a JSON pointer; see [`json::pointer`].
    pub fn fill(mut self, pointer: impl Into<String>, secret: Secret) -> Self {
        self.call.fill.push(NamedSecret::new(pointer, secret));
        self
    }

    /// Sends it and waits for the answer.
    pub fn send(self) -> Result<Reply, CallError> {
        let operation = self.call.operation.clone();
        let reply = host::send(self.call)?;
        Ok(Reply {
            operation,
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
            captured: reply.captured,
        })
    }
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the status leaves open if a write took effect: a gateway or the server broke on the way.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.status, 408 | 500 | 502 | 504 | 520..=527)
    }

    /// The reply when it is a success, otherwise [`failure`](Self::failure).
    pub fn success(self, doing: &str) -> Result<Self, Failure> {
        if self.is_success() { Ok(self) } else { Err(self.failure(doing)) }
    }

    /// Like [`success`](Self::success), for the `create` of [`ensure`](crate::ensure): an answer that leaves
    /// the outcome open makes it look before it tries again.
    pub fn created(self, doing: &str) -> Result<Self, Attempt> {
        if self.is_ambiguous() {
            return Err(Attempt::Unknown(self.failure(doing)));
        }
        Ok(self.success(doing)?)
    }

    /// The failure that the status stands for, in general: map what the vendor's users really run into
    /// first, and leave the rest to this. `doing` completes “could not …”.
    pub fn failure(&self, doing: &str) -> Failure {
        let kind = match self.status {
            401 | 403 => FailureKind::Unauthorized,
            400 | 405 | 406 | 413 | 414 | 415 | 422 => FailureKind::Invalid,
            402 => FailureKind::Declined,
            409 | 412 => FailureKind::Conflict,
            408 | 423 | 425 | 429 | 500..=599 => FailureKind::Unavailable,
            _ => FailureKind::Broken,
        };
        let message = match self.error_message() {
            Some(text) => format!("could not {doing}: {text} (status {})", self.status),
            None => format!("could not {doing}: the answer was status {}", self.status),
        };
        let failure = Failure::new(kind, message);
        match self.header("retry-after").and_then(|value| value.trim().parse::<u32>().ok()) {
            Some(seconds) => failure.retry_after_ms(seconds.saturating_mul(1000)),
            None => failure,
        }
    }

    /// The body, read as a type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        json::typed(self.value()?).map_err(|error| self.unexpected(&error))
    }

    /// The body as JSON.
    pub fn value(&self) -> Result<Value, Failure> {
        json::parse(&self.body).map_err(|error| self.unexpected(&error))
    }

    fn unexpected(&self, error: &serde_json::Error) -> Failure {
        let operation = &self.operation;
        Failure::broken(format!("the answer to `{operation}` is not as expected: {error}"))
    }

    /// The body as text, for bodies that are not JSON.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that the operation declares, or `retry-after`; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The secret that stood at a JSON pointer.
    pub fn secret(&self, pointer: &str) -> Option<Secret> {
        self.captured.iter().find(|secret| secret.name == pointer).map(|secret| secret.value)
    }

    /// The secret that must stand at a JSON pointer.
    pub fn require_secret(&self, pointer: &str) -> Result<Secret, Failure> {
        self.secret(pointer).ok_or_else(|| {
            let operation = &self.operation;
            Failure::broken(format!("the answer to `{operation}` holds no secret at `{pointer}`"))
        })
    }

    /// What the vendor says went wrong: the usual JSON places, or a short text that is not a page.
    pub fn error_message(&self) -> Option<String> {
        const PLACES: [&str; 5] =
            ["/message", "/error", "/error/message", "/errors/0/message", "/detail"];
        if let Ok(body) = json::parse(&self.body) {
            let found = PLACES.iter().find_map(|place| json::text_at(&body, place));
            return found.filter(|text| !text.is_empty()).map(str::to_owned);
        }
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        (!text.is_empty() && text.len() <= 300 && !text.starts_with('<')).then(|| text.to_owned())
    }
}
