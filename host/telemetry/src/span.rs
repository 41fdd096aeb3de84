//! One span: a named stretch of time within a trace. Data only.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::ids::{SpanId, random};

/// Nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What a span is to its parent. The numbers are OTLP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal = 1,
    Client = 3,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

pub(crate) type Attributes = Vec<(String, Value)>;

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at_ns: u64,
    pub(crate) name: String,
    pub(crate) attributes: Attributes,
}

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing to say: an answer came, whatever it was.
    Unset,
    Ok,
    Error(String),
}

/// One span; open while `end_ns` is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: Attributes,
    pub(crate) moments: Vec<Moment>,
    pub(crate) status: Status,
}

impl Span {
    /// A span that begins now.
    pub(crate) fn begin(name: String, kind: Kind, parent: Option<SpanId>) -> Self {
        Self {
            id: random(),
            parent,
            name,
            kind,
            start_ns: now_ns(),
            end_ns: 0,
            attributes: Vec::new(),
            moments: Vec::new(),
            status: Status::Unset,
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.attributes.push((name.to_owned(), value.into()));
    }

    pub(crate) fn note(&mut self, name: &str, attributes: Attributes) {
        self.moments.push(Moment { at_ns: now_ns(), name: name.to_owned(), attributes });
    }

    /// The span, over.
    pub(crate) fn end(mut self, status: Status) -> Self {
        self.end_ns = now_ns().max(self.start_ns);
        self.status = status;
        self
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
