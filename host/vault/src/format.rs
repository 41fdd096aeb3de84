//! What the encrypted files hold: versioned JSON.
//!
//! The only place where a secret is serialised, and only into memory that is wiped. Unknown fields are refused: writing
//! the file back would lose them.

use std::collections::BTreeMap;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ss_core::redact::Secret;
use zeroize::Zeroizing;

/// The version this code writes, and the newest it reads.
const VERSION: u32 = 1;

/// A secret that may be serialised, because what it goes into gets encrypted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored(pub(crate) Secret);

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// `tokens.age`: the user's provider tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tokens {
    pub(crate) tokens: BTreeMap<String, Stored>,
}

/// `systems/<system>/<env>.age`: what the services of one system and environment wrote.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// The key for keyed digests. Absent exactly as long as no credential was ever written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest_key: Option<Stored>,
    /// Service id → name → value.
    pub(crate) credentials: BTreeMap<String, BTreeMap<String, Stored>>,
}

/// The frame around either: `{"version": 1, "content": …}`.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    content: T,
}

/// Why plain text is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotUnderstood {
    /// A later version wrote it.
    TooNew,
    /// Nobody's version wrote it.
    Damaged,
}

/// The JSON text, in one allocation of the right size, so that growing leaves no copy behind.
pub(crate) fn encode<T: Serialize>(content: &T) -> Zeroizing<Vec<u8>> {
    let document = Versioned { version: VERSION, content };
    let mut length = Length(0);
    let mut text = Zeroizing::new(Vec::new());
    let written = serde_json::to_writer(&mut length, &document).and_then(|()| {
        text.reserve_exact(length.0);
        serde_json::to_writer(&mut *text, &document)
    });
    written.unwrap_or_else(|_| unreachable!("maps of text are always JSON"));
    text
}

/// Reads what `encode` wrote.
pub(crate) fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, NotUnderstood> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let damaged = |_| NotUnderstood::Damaged;
    let Version { version } = serde_json::from_slice(text).map_err(damaged)?;
    if version > VERSION {
        return Err(NotUnderstood::TooNew);
    }
    serde_json::from_slice::<Versioned<T>>(text).map(|document| document.content).map_err(damaged)
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_format() {
        // A released format: this text never changes.
        let text = br#"{"version":1,"content":{"digest_key":"ab","credentials":{"app-db":{"DATABASE_URL":"v"}}}}"#;
        let read: Credentials = decode(text).unwrap();
        assert_eq!(read.credentials["app-db"]["DATABASE_URL"].0.expose(), "v");
        assert_eq!(read.digest_key.as_ref().unwrap().0.expose(), "ab");
        assert_eq!(encode(&read).as_slice(), text);
        let text = br#"{"version":1,"content":{"tokens":{"neon.api_token":"v"}}}"#;
        assert_eq!(encode(&decode::<Tokens>(text).unwrap()).as_slice(), text);
    }

    #[test]
    fn refuses_newer_and_foreign_text() {
        let newer = br#"{"version":2,"content":{"tokens":{},"more":1}}"#;
        assert_eq!(decode::<Tokens>(newer), Err(NotUnderstood::TooNew));
        for foreign in
            [&b""[..], b"{}", b"[1]", br#"{"version":1,"content":{"tokens":{},"more":1}}"#]
        {
            assert_eq!(decode::<Tokens>(foreign), Err(NotUnderstood::Damaged));
        }
    }
}
