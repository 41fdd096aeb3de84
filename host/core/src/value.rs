//! JSON values: canonical digests and field-by-field differences.
//!
//! Objects are compared key by key; lists and scalars as wholes.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Lower-case hex of bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// `sha256:<hex>` of bytes.
pub fn digest_bytes(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// `sha256:<hex>` of a JSON value in its canonical text (keys sorted, no spaces).
pub fn digest(value: &Value) -> String {
    digest_bytes(canonical(value).as_bytes())
}

/// The canonical text: `serde_json` sorts keys and writes no spaces.
pub fn canonical(value: &Value) -> String {
    value.to_string()
}

/// `hmac-sha256` of a text under a key, as lower-case hex. Says whether a secret changed without
/// letting a reader guess it.
pub fn keyed_digest(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Dotted path from the root: `env.NODE_ENV`.
    pub path: String,
    /// The value on the left; absent when the field is new.
    pub before: Option<Value>,
    /// The value on the right; absent when the field is gone.
    pub after: Option<Value>,
}

/// The differences between two values, in the order of their paths.
pub fn diff(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut String::new(), Some(before), Some(after), &mut found);
    found
}

fn walk(
    path: &mut String,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(left)), Some(Value::Object(right))) = (before, after) {
        let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for key in keys {
            let length = path.len();
            if length > 0 {
                path.push('.');
            }
            path.push_str(key);
            walk(path, left.get(key), right.get(key), found);
            path.truncate(length);
        }
        return;
    }
    found.push(Difference { path: path.clone(), before: before.cloned(), after: after.cloned() });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn digest_ignores_key_order() {
        let left: Value = serde_json::from_str(r#"{"a":1,"b":[1,2]}"#).unwrap();
        let right: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        assert_eq!(digest(&left), digest(&right));
        assert_ne!(digest(&left), digest(&json!({"a": 2, "b": [1, 2]})));
    }

    #[test]
    fn diff_names_the_path() {
        let found = diff(
            &json!({"image": "v1", "env": {"A": "1", "B": "2"}, "same": [1]}),
            &json!({"image": "v2", "env": {"B": "2", "C": "3"}, "same": [1]}),
        );
        let paths: Vec<&str> = found.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["env.A", "env.C", "image"]);
        assert_eq!(found[0].after, None);
        assert_eq!(found[1].before, None);
        assert_eq!(found[2].after, Some(json!("v2")));
    }

    #[test]
    fn keyed_digest_depends_on_the_key() {
        assert_ne!(keyed_digest(b"a", "x"), keyed_digest(b"b", "x"));
        assert_eq!(keyed_digest(b"a", "x"), keyed_digest(b"a", "x"));
    }
}
