//! Secrets that cannot be seen: a handle each, good for the call it was given in.

use crate::{Failure, host};

/// A secret, held by the host. It cannot be turned into its value, and it means nothing in another call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub(crate) u32);

/// A secret and what it is called: an environment name, a JSON pointer, or a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSecret {
    /// The name.
    pub name: String,
    /// The secret.
    pub value: Secret,
}

impl NamedSecret {
    /// Names a secret.
    pub fn new(name: impl Into<String>, value: Secret) -> Self {
        Self { name: name.into(), value }
    }
}

/// Makes a new secret from a template: `{name}` is replaced by the part of that name, percent-encoded as a
/// URL component when written `{name|url}`.
pub fn compose(template: &str, parts: &[(&str, Secret)]) -> Result<Secret, Failure> {
    let parts = parts.iter().map(|(name, value)| NamedSecret::new(*name, *value)).collect();
    host::compose(template.to_owned(), parts).map_err(Failure::broken)
}
