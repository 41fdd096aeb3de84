//! What a piece of text must look like.

use crate::diag::Code;
use crate::ident::{EnvName, PluginName, ServiceId, SystemName};

/// A rule for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Anything.
    Any,
    /// Not empty.
    NotEmpty,
    /// `2`.
    Version,
    /// A [`SystemName`].
    System,
    /// An [`EnvName`].
    Environment,
    /// A [`ServiceId`].
    Service,
    /// A [`PluginName`].
    Plugin,
    /// The name of an environment variable.
    Variable,
    /// The name of a connection.
    Connection,
    /// Where a plugin comes from.
    Reference,
    /// An HTTP base URL, with or without `{param}`.
    Url,
    /// A kind of place for the state.
    Backend,
    /// The name of an S3 bucket.
    Bucket,
    /// What stands before the names in a bucket.
    Prefix,
    /// A region of an S3 service.
    Region,
}

impl Rule {
    /// What is wrong with a text, when something is.
    pub(super) fn broken(self, text: &str) -> Option<(Code, String)> {
        let name = |error: String| (Code::InvalidName, error);
        if text.trim().is_empty() && !matches!(self, Self::Any | Self::Version) {
            return Some(name("must not be empty".to_owned()));
        }
        match self {
            Self::Any | Self::NotEmpty | Self::Reference => None,
            Self::Version => (text != "2").then(|| {
                (Code::WrongVersion, format!("this `ss` reads version \"2\", not \"{text}\""))
            }),
            Self::System => SystemName::new(text).err().map(|error| name(error.to_string())),
            Self::Environment => EnvName::new(text).err().map(|error| name(error.to_string())),
            Self::Service => ServiceId::new(text).err().map(|error| name(error.to_string())),
            Self::Plugin => PluginName::new(text).err().map(|error| name(error.to_string())),
            Self::Connection => ServiceId::new(text).err().map(|_| {
                name(format!("`{text}` is not a valid connection name: use a lower-case letter, then letters, digits and `-`"))
            }),
            Self::Variable => (!is_variable(text)).then(|| {
                name(format!("`{text}` is not a valid variable name: use a letter or `_`, then letters, digits and `_`"))
            }),
            Self::Url => bad_url(text).map(|why| (Code::InvalidUrl, why.to_owned())),
            Self::Backend => (!matches!(text, "s3" | "postgres")).then(|| {
                (Code::UnknownBackend, format!("`{text}` is not a backend: there are `s3` and `postgres`"))
            }),
            Self::Bucket => (!is_bucket(text)).then(|| {
                name(format!("`{text}` is not a bucket's name: use 3 to 63 lower-case letters, digits, `.` and `-`"))
            }),
            Self::Prefix => (!is_prefix(text)).then(|| {
                name(format!("`{text}` is not a prefix: use letters, digits, `.`, `_` and `-`, with `/` between names"))
            }),
            // It becomes a part of the host's name.
            Self::Region => (!is_region(text)).then(|| {
                name(format!("`{text}` is not a region: use lower-case letters, digits and `-`"))
            }),
        }
    }

    /// A text that keeps the rule, for somebody who has none.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Any | Self::NotEmpty => "process",
            Self::Version => "2",
            Self::System => "my-app",
            Self::Environment => "prod",
            Self::Service => "app-db",
            Self::Plugin => "my-plugin",
            Self::Connection => "neon-api",
            Self::Variable => "DATABASE_URL",
            Self::Reference => "./my-plugin.wasm",
            Self::Url => "http://127.0.0.1:4400/neon/api/v2",
            Self::Backend => "s3",
            Self::Bucket => "my-app-state",
            Self::Prefix => "team/state",
            Self::Region => "us-east-1",
        }
    }

    /// A text that keeps the rule and is as near as can be to one that breaks it.
    pub(super) fn repaired(self, text: &str) -> Option<String> {
        // Other characters are no slip of the keyboard, and nothing sensible is near them.
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte)) {
            return None;
        }
        let filler = match self {
            Self::Variable => '_',
            Self::System | Self::Environment | Self::Service | Self::Plugin | Self::Connection => {
                '-'
            }
            _ => return None,
        };
        let keep = |character: char| {
            if character.is_ascii_alphanumeric() { character } else { filler }
        };
        let repaired: String = text.trim().chars().map(keep).collect();
        let repaired = if filler == '-' { repaired.to_ascii_lowercase() } else { repaired };
        (self.broken(&repaired).is_none()).then_some(repaired)
    }

    /// The rule as a regular expression for editors.
    pub(super) fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::NotEmpty | Self::Reference => Some(r"\S"),
            Self::Version => Some("^2$"),
            Self::System | Self::Environment | Self::Service | Self::Plugin | Self::Connection => {
                Some("^[a-z][a-z0-9-]{0,62}$")
            }
            Self::Variable => Some("^[A-Za-z_][A-Za-z0-9_]*$"),
            Self::Url => Some("^https?://[^/@?#\\s]+[^?#\\s]*$"),
            Self::Backend => Some("^(s3|postgres)$"),
            Self::Bucket => Some("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
            Self::Prefix => Some("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$"),
            Self::Region => Some("^[a-z0-9-]{1,40}$"),
        }
    }
}

fn is_variable(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 256
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_bucket(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    (3..=63).contains(&bytes.len())
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(byte))
}

fn is_prefix(text: &str) -> bool {
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    text.len() <= 256 && text.strip_suffix('/').unwrap_or(text).split('/').all(is_name)
}

fn is_region(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 40 && text.bytes().all(is_part)
}

/// Only what a person gets wrong; the gate looks at the address again before anything is sent.
fn bad_url(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return Some("must begin with `https://` or `http://`");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if rest.contains(|character: char| character.is_whitespace() || character.is_control()) {
        Some("must not hold spaces")
    } else if rest.contains(['?', '#']) {
        Some("must not hold a query or a fragment")
    } else if host.contains('@') {
        Some("must not hold a user or a password")
    } else if host.is_empty() || host.starts_with(':') {
        Some("names no host")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in [
            "http://127.0.0.1:4400/neon/api/v2",
            "https://example.com",
            "http://127.0.0.1:4400/app/{app}",
            "http://[::1]:80/",
        ] {
            assert_eq!(bad_url(good), None, "{good}");
        }
        for bad in [
            "127.0.0.1:4400",
            "ftp://example.com",
            "https://",
            "https:///path",
            "https://user:word@example.com",
            "https://example.com/?a=b",
            "https://example.com/#top",
            "https://exa mple.com",
        ] {
            assert!(bad_url(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn repairs_what_it_can() {
        for (rule, text, repaired) in [
            (Rule::System, "My App", Some("my-app")),
            (Rule::Service, "app_db", Some("app-db")),
            (Rule::Service, "9lives", None),
            (Rule::Variable, "DATABASE-URL", Some("DATABASE_URL")),
            (Rule::Variable, "9A", None),
            (Rule::Url, "example.com", None),
        ] {
            assert_eq!(rule.repaired(text).as_deref(), repaired, "{text}");
        }
    }

    #[test]
    fn what_becomes_part_of_an_address_cannot_change_it() {
        for (rule, good, bad) in [
            (Rule::Region, "eu-central-1", "x.attacker.example/"),
            (Rule::Region, "auto", "a#"),
            (Rule::Bucket, "my-app.state", "a/../b"),
            (Rule::Bucket, "abc", "-abc"),
            (Rule::Bucket, "b2b", "Bucket"),
            (Rule::Prefix, "team/state_1/", "../other"),
            (Rule::Prefix, "a.b", "a//b"),
            (Rule::Prefix, "A", "a?b"),
        ] {
            assert!(rule.broken(good).is_none(), "{good}");
            assert!(rule.broken(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn variables() {
        for good in ["A", "_a", "DATABASE_URL", "x9"] {
            assert!(is_variable(good), "{good}");
        }
        for bad in ["", "9A", "A-B", "A.B", "Ä", "A B"] {
            assert!(!is_variable(bad), "{bad}");
        }
    }
}
