//! Small shared parts of the handlers: bodies, queries, times, answers.

use std::collections::HashMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::fault::Fault;

/// What a handler returns.
pub type Answer = Result<Response, Fault>;

/// Query parameters; of a repeated one, all values joined by commas.
pub fn query(raw: Option<&str>) -> HashMap<String, String> {
    let mut found: HashMap<String, String> = HashMap::new();
    for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        found
            .entry(name)
            .and_modify(|known| *known = format!("{known},{value}"))
            .or_insert_with(|| value.clone());
    }
    found
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, tail.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the query says yes to `name`.
#[must_use]
pub fn flag(query: &HashMap<String, String>, name: &str) -> bool {
    query.get(name).is_some_and(|value| value == "true" || value == "1")
}

/// Reads a JSON object; an empty body is an empty object.
///
/// # Errors
/// 400 with the text Go's decoder gives for `go_type`.
pub fn object(body: &Bytes, go_type: &str) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Fault::new(StatusCode::BAD_REQUEST, &format!("invalid JSON: {error}")))?;
    let kind = match &value {
        Value::Object(_) => return Ok(value),
        Value::Null => return Ok(json!({})),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    Err(Fault::not_an_object(kind, go_type))
}

/// 200 with `value`.
#[must_use]
pub fn ok(value: Value) -> Response {
    Json(value).into_response()
}

/// 200 `{"ok": true}`.
#[must_use]
pub fn ok_true() -> Response {
    ok(json!({ "ok": true }))
}

/// RFC 3339 with milliseconds, as check results carry it.
#[must_use]
pub fn rfc3339_ms(ms: i64) -> String {
    let seconds = crate::clock::rfc3339(ms);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms.rem_euclid(1000))
}

/// `2022-10-20 19:59:06 +0000 UTC`, as lease conflicts carry it.
#[must_use]
pub fn rfc3339_utc_words(ms: i64) -> String {
    crate::clock::rfc3339(ms).replace('T', " ").replace('Z', " +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_repeats_joined() {
        let query = query(Some("state=started&state=stopped&metadata.a=b%20c+d&force"));
        assert_eq!(query["state"], "started,stopped");
        assert_eq!(query["metadata.a"], "b c d");
        assert_eq!(query["force"], "");
    }

    #[test]
    fn times_are_written_as_fly_does() {
        assert_eq!(rfc3339_utc_words(1_666_295_946_000), "2022-10-20 19:59:06 +0000 UTC");
        assert_eq!(rfc3339_ms(1_697_145_806_014), "2023-10-12T21:23:26.014Z");
    }

    #[test]
    fn a_list_where_an_object_belongs_is_refused_in_gos_words() {
        let fault = object(&Bytes::from_static(b"[]"), "main.stopRequest").unwrap_err();
        let text = "json: cannot unmarshal array into Go value of type main.stopRequest";
        assert_eq!(fault.body["error"], text);
    }
}
