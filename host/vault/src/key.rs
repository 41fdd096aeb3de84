//! What a person calls a value in the vault: `neon.api_token`, or `app-db.DATABASE_URL`.
//!
//! Both look alike, so what is meant depends on what is known: see [`Key::parse`].

use std::fmt;

use ss_core::ident::ServiceId;

/// The longest name of a token or credential.
const NAME_LENGTH_MAX: usize = 128;

/// One value in the vault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A provider token of this user, for every system.
    Token(String),
    /// A credential that a service of one system and environment wrote.
    Credential {
        /// The service.
        service: ServiceId,
        /// The name it has in `inject_from`.
        name: String,
    },
}

/// Why a text names nothing in the vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not the name of a vault entry: use letters, digits, `_`, `-` and `.`, at most 128, as in `neon.api_token` or `app-db.DATABASE_URL`", .0.escape_debug()
)]
pub struct InvalidKey(String);

impl Key {
    /// Reads a name as a person types it.
    ///
    /// In this order: a name that a provisioner declares as its credential (`tokens`) is a token; `service.NAME`,
    /// where `service` is one of the current system's `services`, is a credential; every other name is a token.
    /// Without a current system `services` is empty, and every name is a token.
    pub fn parse(text: &str, tokens: &[&str], services: &[ServiceId]) -> Result<Self, InvalidKey> {
        if !is_name(text) {
            return Err(InvalidKey(text.to_owned()));
        }
        let credential = text.split_once('.').and_then(|(service, name)| {
            let service = services.iter().find(|known| known.as_str() == service)?;
            Some(Self::Credential { service: service.clone(), name: name.to_owned() })
        });
        match credential {
            Some(credential) if !tokens.contains(&text) => Ok(credential),
            _ => Ok(Self::Token(text.to_owned())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(name) => formatter.pad(name),
            Self::Credential { service, name } => formatter.pad(&format!("{service}.{name}")),
        }
    }
}

/// Checks a name before it is written. Names reach terminals, so they hold nothing that a terminal obeys.
pub(crate) fn check(name: &str) -> Result<(), InvalidKey> {
    if is_name(name) { Ok(()) } else { Err(InvalidKey(name.to_owned())) }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte != b'.');
    text.len() <= NAME_LENGTH_MAX
        && text.bytes().all(plain)
        && edge(text.bytes().next())
        && edge(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn services() -> Vec<ServiceId> {
        ["app-db", "neon"].map(|id| ServiceId::new(id).unwrap()).to_vec()
    }

    fn credential(service: &str, name: &str) -> Key {
        Key::Credential { service: ServiceId::new(service).unwrap(), name: name.to_owned() }
    }

    #[test]
    fn tells_tokens_from_credentials() {
        let tokens = ["neon.api_token"];
        let parse = |text: &str| Key::parse(text, &tokens, &services()).unwrap();
        assert_eq!(parse("app-db.DATABASE_URL"), credential("app-db", "DATABASE_URL"));
        assert_eq!(parse("fly.api_token"), Key::Token("fly.api_token".into()));
        assert_eq!(parse("app-db"), Key::Token("app-db".into()));
        // A service may have a provider's name; what the provider declares stays reachable.
        assert_eq!(parse("neon.api_token"), Key::Token("neon.api_token".into()));
        assert_eq!(parse("neon.DATABASE_URL"), credential("neon", "DATABASE_URL"));
    }

    #[test]
    fn without_a_system_every_name_is_a_token() {
        let key = Key::parse("app-db.DATABASE_URL", &[], &[]).unwrap();
        assert_eq!(key, Key::Token("app-db.DATABASE_URL".into()));
    }

    #[test]
    fn refuses_what_a_terminal_would_obey() {
        let long = "a".repeat(NAME_LENGTH_MAX + 1);
        for bad in ["", ".", "a.", ".a", "a b", "a\n", "a\u{1b}[31m", "ä", "a/b", "a=b", &long] {
            let error = Key::parse(bad, &[], &services()).unwrap_err();
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_key_prints_as_it_was_read(text in ".{0,140}") {
            if let Ok(key) = Key::parse(&text, &[], &services()) {
                prop_assert_eq!(key.to_string(), text.clone());
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn every_plain_name_is_accepted(text in "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,100}[A-Za-z0-9_-]") {
            prop_assert!(Key::parse(&text, &[], &[]).is_ok());
        }
    }
}
