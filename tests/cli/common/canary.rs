//! Looking for a secret wherever it may have got to, in the encodings a leak takes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::Place;

/// A secret and every spelling of it that is looked for.
pub struct Canary {
    name: &'static str,
    spellings: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
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
        let spellings = vec![
            ("plain", bytes.to_vec()),
            ("base64", trimmed(STANDARD.encode(bytes))),
            ("base64url", trimmed(URL_SAFE_NO_PAD.encode(bytes))),
            ("hex", hex(false).into_bytes()),
            ("HEX", hex(true).into_bytes()),
            ("percent", percent.into_bytes()),
            ("utf-16", wide(u16::to_le_bytes)),
            ("reversed", reversed.into_bytes()),
        ];
        Self { name, spellings }
    }

    /// Panics, naming the spelling, when the bytes hold the secret.
    #[track_caller]
    pub fn is_not_in(&self, place: &str, bytes: &[u8]) {
        for (spelling, needle) in &self.spellings {
            assert!(!holds(bytes, needle), "{} is in {place}, as {spelling}", self.name);
        }
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

/// Neither the provider tokens nor the database's password stand in anything that was printed or written, but for the
/// vault, whose files are encrypted, and the sandbox's own folder.
pub fn no_secret_is_left(place: &Place, said: &str) {
    let canaries = [
        Canary::new("the Neon token", "sandbox-neon-key"),
        Canary::new("the Fly token", "sandbox-fly-token"),
        Canary::new("the database's password", &place.database_password()),
    ];
    for canary in &canaries {
        canary.is_not_in("what was printed", said.as_bytes());
    }
    let mut folders = vec![place.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path == place.home().join("sandbox") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            for canary in &canaries {
                canary.is_not_in(&path.display().to_string(), &bytes);
            }
            files += 1;
        }
    }
    assert!(files > 8, "only {files} files were searched");
}

#[test]
fn every_spelling_is_found() {
    let canary = Canary::new("a secret", "tok/en+0123456789?");
    for (spelling, bytes) in &canary.spellings {
        let mut text = b"before ".to_vec();
        text.extend_from_slice(bytes);
        let found = std::panic::catch_unwind(|| canary.is_not_in("a text", &text));
        assert!(found.is_err(), "{spelling} is not found");
    }
    canary.is_not_in("a text", b"tok/en+012345678");
}
