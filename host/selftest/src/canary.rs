//! Looking for a secret wherever it may have got to, in the encodings a leak takes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A secret and every spelling of it that is looked for.
#[derive(Clone)]
pub struct Canary {
    name: &'static str,
    spellings: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// How many spellings there are.
    pub const SPELLINGS: usize = 8;

    /// A secret of at least eight bytes; its name is what people read.
    pub fn new(name: &'static str, secret: &str) -> Self {
        assert!(secret.len() >= 8, "{name} is too short to be looked for");
        let bytes = secret.as_bytes();
        let hex = |upper: bool| -> String {
            bytes
                .iter()
                .map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") })
                .collect()
        };
        let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        let wide = |order: fn(u16) -> [u8; 2]| secret.encode_utf16().flat_map(order).collect();
        let reversed: String = secret.chars().rev().collect();
        let spellings: [_; Self::SPELLINGS] = [
            ("plain", bytes.to_vec()),
            ("base64", trimmed(STANDARD.encode(bytes))),
            ("base64url", trimmed(URL_SAFE_NO_PAD.encode(bytes))),
            ("hex", hex(false).into_bytes()),
            ("HEX", hex(true).into_bytes()),
            ("percent", percent.into_bytes()),
            ("utf-16", wide(u16::to_le_bytes)),
            ("reversed", reversed.into_bytes()),
        ];
        Self { name, spellings: spellings.into() }
    }

    /// What the secret is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The first spelling in which the bytes hold the secret.
    pub fn found_in(&self, bytes: &[u8]) -> Option<&'static str> {
        let found = self.spellings.iter().find(|(_, needle)| holds(bytes, needle));
        found.map(|(spelling, _)| *spelling)
    }
}

/// The last group of a base64 text depends on what follows the secret.
fn trimmed(text: String) -> Vec<u8> {
    let whole = text.trim_end_matches('=').len() / 4 * 4;
    text.as_bytes()[..whole].to_vec()
}

/// Whether bytes hold a text.
pub fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        let canary = Canary::new("a secret", "tok/en+0123456789?");
        for (spelling, bytes) in &canary.spellings {
            let mut text = b"before ".to_vec();
            text.extend_from_slice(bytes);
            assert_eq!(canary.found_in(&text), Some(*spelling));
        }
        assert_eq!(canary.found_in(b"tok/en+012345678"), None);
    }
}
