//! Spans as an OTLP `ExportTraceServiceRequest`, in protobuf and in JSON.
//!
//! Field numbers are those of opentelemetry-proto 1.x, which does not change them.

use serde_json::{Value as Json, json};

use crate::ids::{TraceId, hex};
use crate::span::{Attributes, Moment, Span, Status, Value};

const SCOPE: &str = "ss";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A message in protobuf.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or(0));
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn fixed64(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn attributes(self, field: u64, attributes: &Attributes) -> Self {
        attributes.iter().fold(self, |message, (name, value)| {
            let value = match value {
                Value::Text(text) => Self::default().text(1, text),
                Value::Int(number) => Self::default().number(3, number.cast_unsigned()),
            };
            message.message(field, Self::default().text(1, name).message(2, value))
        })
    }
}

/// The request's body in protobuf.
pub(crate) fn protobuf(trace: &TraceId, resource: &Attributes, spans: &[Span]) -> Vec<u8> {
    let scope = Message::default().text(1, SCOPE).text(2, VERSION);
    let scope_spans = spans.iter().fold(Message::default().message(1, scope), |message, span| {
        message.message(2, span_message(trace, span))
    });
    let resource = Message::default().attributes(1, resource);
    let resource_spans = Message::default().message(1, resource).message(2, scope_spans);
    Message::default().message(1, resource_spans).0
}

fn span_message(trace: &TraceId, span: &Span) -> Message {
    let mut message = Message::default().bytes(1, trace).bytes(2, &span.id);
    if let Some(parent) = &span.parent {
        message = message.bytes(4, parent);
    }
    message = message
        .text(5, &span.name)
        .number(6, span.kind as u64)
        .fixed64(7, span.start_ns)
        .fixed64(8, span.end_ns)
        .attributes(9, &span.attributes);
    message = span.moments.iter().fold(message, |message, moment| {
        message.message(
            11,
            Message::default()
                .fixed64(1, moment.at_ns)
                .text(2, &moment.name)
                .attributes(3, &moment.attributes),
        )
    });
    match &span.status {
        Status::Unset => message,
        Status::Ok => message.message(15, Message::default().number(3, 1)),
        Status::Error(why) => message.message(15, Message::default().text(2, why).number(3, 2)),
    }
}

/// The request's body in OTLP's JSON: ids in hexadecimal, 64-bit numbers as text.
pub(crate) fn json(trace: &TraceId, resource: &Attributes, spans: &[Span]) -> Vec<u8> {
    let spans: Vec<Json> = spans.iter().map(|span| span_json(trace, span)).collect();
    let scope_spans = json!({"scope": {"name": SCOPE, "version": VERSION}, "spans": spans});
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes_json(resource)},
        "scopeSpans": [scope_spans],
    }]})
    .to_string()
    .into_bytes()
}

fn span_json(trace: &TraceId, span: &Span) -> Json {
    let mut value = json!({
        "traceId": hex(trace),
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": span.kind as u32,
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.to_string(),
        "attributes": attributes_json(&span.attributes),
        "events": span.moments.iter().map(moment_json).collect::<Vec<_>>(),
    });
    if let Some(parent) = &span.parent {
        value["parentSpanId"] = hex(parent).into();
    }
    match &span.status {
        Status::Unset => {}
        Status::Ok => value["status"] = json!({"code": 1}),
        Status::Error(why) => value["status"] = json!({"code": 2, "message": why}),
    }
    value
}

fn moment_json(moment: &Moment) -> Json {
    json!({
        "timeUnixNano": moment.at_ns.to_string(),
        "name": moment.name,
        "attributes": attributes_json(&moment.attributes),
    })
}

fn attributes_json(attributes: &Attributes) -> Vec<Json> {
    let value = |value: &Value| match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Int(number) => json!({"intValue": number.to_string()}),
    };
    attributes.iter().map(|(name, found)| json!({"key": name, "value": value(found)})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_varints() {
        let bytes = |number| Message::default().number(1, number).0;
        assert_eq!(bytes(0), [8, 0]);
        assert_eq!(bytes(127), [8, 127]);
        assert_eq!(bytes(300), [8, 0xac, 2]);
        assert_eq!(bytes((-1_i64).cast_unsigned()).len(), 11);
    }

    #[test]
    fn lengths_frame_what_they_hold() {
        let inner = Message::default().text(2, "testing");
        assert_eq!(inner.0, [0x12, 7, b't', b'e', b's', b't', b'i', b'n', b'g']);
        assert_eq!(Message::default().message(3, inner).0[..2], [0x1a, 9]);
    }
}
