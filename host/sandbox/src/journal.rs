//! What was asked of the sandbox, for tests that must know whether a request was repeated.
//!
//! Promises that no secret is ever in it: credentials headers are left out, values under names
//! that hold secrets are blanked, and so is every password the sandbox itself gave out. Bounded,
//! in memory, gone after a restart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

const ENTRIES_MAX: usize = 10_000;
const BODY_BYTES_MAX: usize = 64 << 10;
/// What stands in place of a secret.
pub const BLANK: &str = "***";

/// One request and how it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counts from 1 and never repeats within a run.
    pub seq: u64,
    /// When it arrived, by the clock.
    pub at_ms: i64,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query string as sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The headers, without those that carry credentials.
    pub headers: BTreeMap<String, String>,
    /// The request body, blanked: JSON as JSON, anything else as text.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// The status sent; absent when the connection was cut.
    pub status: Option<u16>,
    /// The injected fault, if one hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<crate::faults::Fault>,
}

/// The journal; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    entries: VecDeque<Entry>,
    secrets: BTreeSet<String>,
}

impl Journal {
    /// From now on `secret` is blanked wherever it stands; very short ones are ignored.
    pub fn conceal(&self, secret: &str) {
        if secret.len() >= 6 {
            self.lock().secrets.insert(secret.to_owned());
        }
    }

    /// Takes an entry in, numbered and blanked; the oldest falls out when it is full.
    pub fn record(&self, mut entry: Entry) {
        let mut inner = self.lock();
        inner.last += 1;
        entry.seq = inner.last;
        blank(&mut entry.body, &inner.secrets);
        entry.query = without(&entry.query, &inner.secrets);
        entry.path = without(&entry.path, &inner.secrets);
        for value in entry.headers.values_mut() {
            *value = without(value, &inner.secrets);
        }
        if inner.entries.len() == ENTRIES_MAX {
            inner.entries.pop_front();
        }
        inner.entries.push_back(entry);
    }

    /// Every entry after number `after`, oldest first.
    #[must_use]
    pub fn since(&self, after: u64) -> Vec<Entry> {
        self.lock().entries.iter().filter(|entry| entry.seq > after).cloned().collect()
    }

    /// Empties it; numbers go on.
    pub fn clear(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The headers that may be shown.
pub(crate) fn headers_shown(headers: &HeaderMap) -> BTreeMap<String, String> {
    let secret = ["authorization", "proxy-authorization", "cookie", "fly-machine-lease-nonce"];
    headers
        .iter()
        .filter(|(name, _)| !secret.contains(&name.as_str()))
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

/// The body as the journal keeps it, not yet blanked.
pub(crate) fn body_shown(path: &str, bytes: &[u8]) -> Value {
    if bytes.len() > BODY_BYTES_MAX {
        return Value::String(format!("({} bytes, too long to keep)", bytes.len()));
    }
    let Ok(mut value) = serde_json::from_slice(bytes) else {
        return match bytes {
            [] => Value::Null,
            _ if path.contains("/secrets") => Value::String(BLANK.into()),
            _ => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        };
    };
    if path.contains("/secrets") {
        blank_strings(&mut value);
    }
    value
}

/// Keys whose string values are secrets whatever they hold.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token", "connection_uri", "code_verifier", "private_key", "nonce"]
        .iter()
        .any(|part| name.contains(part))
        || name == "uri"
}

fn blank(value: &mut Value, secrets: &BTreeSet<String>) {
    match value {
        Value::String(text) => *text = without(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, secrets)),
        Value::Object(fields) => {
            for (name, field) in fields {
                if is_secret_name(name) { blank_strings(field) } else { blank(field, secrets) }
            }
        }
        _ => {}
    }
}

/// Blanks every string below, but keeps the shape, `null` and flags readable.
fn blank_strings(value: &mut Value) {
    match value {
        Value::String(text) => BLANK.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(blank_strings),
        Value::Object(fields) => fields.values_mut().for_each(blank_strings),
        _ => {}
    }
}

fn without(text: &str, secrets: &BTreeSet<String>) -> String {
    let mut text = without_url_password(text);
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), BLANK);
        }
    }
    text
}

/// `scheme://user:password@host` loses its password, known or not.
fn without_url_password(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        kept.push_str(before);
        let authority = after.find(|c: char| "/?# \"'".contains(c)).unwrap_or(after.len());
        let (authority, remainder) = after.split_at(authority);
        match authority
            .rsplit_once('@')
            .and_then(|(user, host)| Some((user.split_once(':')?.0, host)))
        {
            Some((user, host)) => kept.push_str(&format!("{user}:{BLANK}@{host}")),
            None => kept.push_str(authority),
        }
        rest = remainder;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kept(path: &str, body: &Value, secret: &str) -> String {
        let journal = Journal::default();
        journal.conceal(secret);
        journal.record(Entry {
            seq: 0,
            at_ms: 0,
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: BTreeMap::new(),
            body: body_shown(path, body.to_string().as_bytes()),
            status: Some(200),
            fault: None,
        });
        serde_json::to_string(&journal.since(0)).unwrap()
    }

    #[test]
    fn names_known_values_and_urls_are_blanked() {
        let body = json!({"password": "p1-hidden", "env": {"A": "x p2-hidden y",
            "DATABASE_URL": "postgresql://u:p3-hidden@h/db"}, "name": "shown"});
        let text = kept("/x", &body, "p2-hidden");
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("shown") && text.contains("postgresql://u:***@h/db"), "{text}");
    }

    #[test]
    fn secrets_routes_keep_names_only() {
        let text =
            kept("/fly/v1/apps/a/secrets", &json!({"values": {"K": "hidden", "GONE": null}}), "");
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains(r#""K":"***""#) && text.contains(r#""GONE":null"#), "{text}");
    }

    #[test]
    fn stays_bounded_and_numbers_go_on() {
        let journal = Journal::default();
        for _ in 0..ENTRIES_MAX + 5 {
            journal.record(Entry {
                seq: 0,
                at_ms: 0,
                method: "GET".into(),
                path: "/".into(),
                query: String::new(),
                headers: BTreeMap::new(),
                body: Value::Null,
                status: None,
                fault: None,
            });
        }
        let entries = journal.since(0);
        assert_eq!(entries.len(), ENTRIES_MAX);
        assert_eq!(entries.last().map(|e| e.seq), Some(ENTRIES_MAX as u64 + 5));
    }
}
