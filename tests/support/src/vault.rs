//! A vault in memory. What it seals cannot be read by eye, and that is all: it is no encryption.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use ss_core::redact::{Redacted, Secret};
use ss_ports::{Vault, VaultError};

const MARK: &[u8] = b"memory-vault:";

/// A vault in memory.
#[derive(Debug, Default)]
pub struct MemoryVault {
    tokens: Mutex<BTreeMap<String, Secret>>,
    credentials: Mutex<BTreeMap<String, BTreeMap<String, Secret>>>,
}

impl MemoryVault {
    /// A vault with these provider tokens.
    pub fn with_tokens<'t>(tokens: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let tokens = tokens.into_iter().map(|(name, value)| (name.to_owned(), Secret::from(value)));
        Self { tokens: Mutex::new(tokens.collect()), ..Self::default() }
    }
}

fn masked(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte ^ 0xa5)
}

#[async_trait]
impl Vault for MemoryVault {
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        Ok(self.tokens.lock().unwrap().get(name).cloned())
    }

    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError> {
        Ok(self.credentials.lock().unwrap().clone())
    }

    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        let mut credentials = self.credentials.lock().unwrap();
        if values.is_empty() {
            credentials.remove(service);
        } else {
            credentials.insert(service.to_owned(), values);
        }
        Ok(())
    }

    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        Ok(Redacted::new(b"the memory vault's digest key".to_vec()))
    }

    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        Ok(MARK.iter().copied().chain(masked(plain)).collect())
    }

    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        let masked_bytes = sealed
            .strip_prefix(MARK)
            .ok_or_else(|| VaultError::Unreadable("it was not sealed by this vault".to_owned()))?;
        Ok(Redacted::new(masked(masked_bytes).collect()))
    }
}
