//! Secrets in bodies: filled into requests, taken out of replies, and blanked wherever else they turn up.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use ss_core::redact::Secret;

use crate::pointer::{Pattern, place};

/// A secret found in a reply.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The concrete pointer it stood at.
    pub pointer: String,
    /// The value.
    pub value: Secret,
}

/// Takes the values at the patterns out of a reply. Each is replaced by `secret#N`, N counting up from `first`;
/// a `null` stays. Values that are not text are taken as their JSON text.
pub fn capture(body: &mut Value, patterns: &[String], first: u32) -> Vec<Captured> {
    let mut found = Vec::new();
    for text in patterns {
        let Ok(pattern) = Pattern::parse(text) else { continue };
        let places: Vec<String> = pattern
            .select(body)
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(bound, _)| pattern.bind(&bound))
            .collect();
        for pointer in places {
            let Some(at) = body.pointer_mut(&pointer) else { continue };
            let index = first + u32::try_from(found.len()).unwrap_or(u32::MAX);
            let value = match std::mem::replace(at, Value::String(format!("secret#{index}"))) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            found.push(Captured { pointer, value: Secret::new(value) });
        }
    }
    found
}

/// Puts secrets into a body. `Err` names the pointer that cannot be filled.
pub fn fill<'a>(
    body: Option<Value>,
    fills: impl Iterator<Item = (&'a str, &'a Secret)>,
) -> Result<Option<Value>, String> {
    let mut body = body;
    for (pointer, secret) in fills {
        let root = body.get_or_insert_with(|| Value::Object(serde_json::Map::new()));
        if !place(root, pointer, Value::String(secret.expose().clone())) {
            return Err(pointer.to_owned());
        }
    }
    Ok(body)
}

/// Secrets shorter than this are not looked for: they would blank ordinary text.
const SHORTEST: usize = 6;

/// Finds known secrets in text, however it encodes them, and blanks them.
pub struct Scrubber {
    finder: Option<AhoCorasick>,
}

impl Scrubber {
    /// Learns the secrets: plain, JSON-escaped, percent-encoded, base64 (both alphabets, every alignment) and hex. Of a
    /// URL, its password too.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let needles: std::collections::BTreeSet<Vec<u8>> = secrets
            .into_iter()
            .flat_map(|secret| {
                std::iter::once(secret.expose().clone()).chain(password(secret.expose()))
            })
            .filter(|text| text.len() >= SHORTEST)
            .flat_map(|text| encodings(&text))
            .collect();
        // Nothing to find is the common case, and building a finder costs.
        let finder = (!needles.is_empty()).then(|| {
            AhoCorasick::builder()
                // Built anew with every secret that turns up, and used for a few replies: the kind that is quick to
                // build, not the one that is quickest to search with.
                .kind(Some(AhoCorasickKind::NoncontiguousNFA))
                .match_kind(MatchKind::LeftmostLongest)
                .build(&needles)
                .expect("the secrets of one call fit an automaton")
        });
        Self { finder }
    }

    /// The text with every secret replaced by `***`.
    pub fn text(&self, text: &str) -> String {
        match &self.finder {
            Some(finder) if finder.is_match(text) => replace(finder, text.as_bytes()),
            _ => return text.to_owned(),
        }
        .unwrap_or_else(|| "***".to_owned())
    }

    /// The bytes with every secret replaced by `***`.
    pub fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.finder {
            Some(finder) if finder.is_match(&bytes) => {
                finder.replace_all_bytes(&bytes, &vec!["***"; finder.patterns_len()])
            }
            _ => bytes,
        }
    }

    /// Whether a secret is in the bytes.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.is_match(bytes))
    }

    /// The value with every secret in its strings and keys blanked.
    pub fn value(&self, value: Value) -> Value {
        match (&self.finder, value) {
            (None, value) => value,
            (Some(_), Value::String(text)) => Value::String(self.text(&text)),
            (Some(_), Value::Array(list)) => {
                Value::Array(list.into_iter().map(|value| self.value(value)).collect())
            }
            (Some(_), Value::Object(map)) => Value::Object(
                map.into_iter().map(|(key, value)| (self.text(&key), self.value(value))).collect(),
            ),
            (Some(_), other) => other,
        }
    }
}

fn replace(finder: &AhoCorasick, bytes: &[u8]) -> Option<String> {
    String::from_utf8(finder.replace_all_bytes(bytes, &vec!["***"; finder.patterns_len()])).ok()
}

/// The password in `scheme://user:password@host`, as it was before it became part of a URL.
fn password(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user_and_password, _) = authority.rsplit_once('@')?;
    let (_, password) = user_and_password.split_once(':')?;
    Some(percent_decode_str(password).decode_utf8_lossy().into_owned())
}

fn encodings(secret: &str) -> Vec<Vec<u8>> {
    let json = Value::String(secret.to_owned()).to_string();
    let percent: String = utf8_percent_encode(secret, NON_ALPHANUMERIC).collect();
    let component: String = utf8_percent_encode(secret, UNRESERVED_KEPT).collect();
    let hex = ss_core::value::hex(secret.as_bytes());
    let mut all = vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        percent.to_lowercase(),
        percent,
        component,
        hex.to_uppercase(),
        hex,
    ];
    for shift in 0..3 {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(secret.as_bytes());
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // Characters that also depend on what stands before or after the secret are left out.
            let from = (shift * 8).div_ceil(6);
            let to = (padded.len() * 8) / 6;
            all.push(text[from..to].to_owned());
        }
    }
    all.into_iter().filter(|text| text.len() >= SHORTEST).map(String::into_bytes).collect()
}

const UNRESERVED_KEPT: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn captures_and_numbers() {
        let mut body =
            json!({"uris": [{"u": "postgres://a"}, {"u": null}, {"u": "postgres://b"}], "n": 7});
        let found = capture(&mut body, &["/uris/*/u".to_owned(), "/n".to_owned()], 3);
        assert_eq!(
            body,
            json!({"uris": [{"u": "secret#3"}, {"u": null}, {"u": "secret#4"}], "n": "secret#5"})
        );
        let pointers: Vec<&str> = found.iter().map(|captured| captured.pointer.as_str()).collect();
        assert_eq!(pointers, ["/uris/0/u", "/uris/2/u", "/n"]);
        assert_eq!(found[2].value.expose(), "7");
    }

    #[test]
    fn bytes_are_blanked_and_others_left_alone() {
        let scrubber = Scrubber::new([&Secret::from("s3cret!")]);
        assert_eq!(scrubber.bytes(b"a s3cret! \xff".to_vec()), b"a *** \xff");
        assert_eq!(scrubber.bytes(b"nothing \xff".to_vec()), b"nothing \xff");
        assert_eq!(Scrubber::new([]).bytes(b"nothing".to_vec()), b"nothing");
    }

    #[test]
    fn fills_or_names_the_pointer() {
        let secret = Secret::from("s3cret!");
        let filled =
            fill(Some(json!({"values": {"B": "x"}})), [("/values/A", &secret)].into_iter())
                .unwrap();
        assert_eq!(filled, Some(json!({"values": {"A": "s3cret!", "B": "x"}})));
        assert_eq!(
            fill(Some(json!({"values": "x"})), [("/values/A", &secret)].into_iter()),
            Err("/values/A".to_owned())
        );
    }

    proptest! {
        #[test]
        fn blanks_every_encoding(secret in "[ -~]{8,40}", before in "[ -~]{0,7}", after in "[ -~]{0,7}") {
            let scrubber = Scrubber::new([&Secret::new(secret.clone())]);
            let around = format!("{before}{secret}{after}");
            let json = Value::String(around.clone()).to_string();
            for text in [
                around.clone(),
                json,
                utf8_percent_encode(&around, NON_ALPHANUMERIC).to_string(),
                ss_core::value::hex(around.as_bytes()),
            ] {
                prop_assert!(scrubber.finds(text.as_bytes()), "{text}");
                prop_assert!(!scrubber.finds(scrubber.text(&text).as_bytes()) || secret.contains('*'), "{text}");
            }
            for text in [STANDARD_NO_PAD.encode(&around), URL_SAFE_NO_PAD.encode(&around)] {
                prop_assert!(scrubber.finds(text.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn a_password_is_found_outside_its_url() {
        let url = Secret::from("postgres://owner:p%40ss-w0rd-1@db.example:5432/app?x=a:b@c");
        let scrubber = Scrubber::new([&url, &Secret::from("http://plain.example/user:segment@c")]);
        for text in ["p@ss-w0rd-1", "p%40ss-w0rd-1", "p%40ss%2Dw0rd%2D1", url.expose()] {
            assert_eq!(scrubber.text(&format!("<{text}>")), "<***>");
        }
        for text in ["owner of app at db.example", "segment"] {
            assert_eq!(scrubber.text(text), text);
        }
    }

    #[test]
    fn leaves_other_text_alone() {
        let scrubber = Scrubber::new([&Secret::from("hunter2-hunter2"), &Secret::from("ab")]);
        assert_eq!(scrubber.text("about cabs"), "about cabs");
        assert_eq!(
            scrubber.value(json!({"a": ["x hunter2-hunter2 y", 1]})),
            json!({"a": ["x *** y", 1]})
        );
    }
}
