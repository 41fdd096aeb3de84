//! Names and ids, each its own type so that they cannot be mixed up.
//!
//! Every constructor checks; a value of these types is always well formed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a name is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a valid {what}: use a lower-case letter, then letters, digits and `-`, at most 63 characters"
)]
pub struct InvalidName {
    what: &'static str,
    given: String,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 63
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text against `[a-z][a-z0-9-]{0,62}`.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                if is_name(&text) { Ok(Self(text)) } else { Err(InvalidName { what: $what, given: text }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name_type!(
    /// The id of a service: the key below `services`.
    ServiceId,
    "service id"
);
name_type!(
    /// The name of a system: `name` in `starsystem.yaml`.
    SystemName,
    "system name"
);
name_type!(
    /// The name of an environment: `prod` in `starsystem.prod.yaml`.
    EnvName,
    "environment name"
);
name_type!(
    /// The name of a provisioner plugin, e.g. `neon`.
    PluginName,
    "plugin name"
);

/// The id of one deploy: a random UUID, as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeployId(String);

impl DeployId {
    /// A new random id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// Takes an id that was made before; `None` when it is not a UUID in its usual form.
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?.to_string();
        (id == text).then_some(Self(id))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight characters, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl fmt::Display for DeployId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses_names() {
        for good in ["a", "app-db", "x9", &"a".repeat(63)] {
            assert!(ServiceId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "9a", "-a", "A", "a_b", "a.b", "ä", "a b", &"a".repeat(64)] {
            assert!(ServiceId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deploy_id_parses_only_its_own_form() {
        let id = DeployId::random();
        assert_eq!(DeployId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(id.short().len(), 8);
        assert_eq!(DeployId::parse("../../etc"), None);
        assert_eq!(DeployId::parse(&id.as_str().to_uppercase()), None);
    }
}
