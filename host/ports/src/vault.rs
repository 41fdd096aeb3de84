//! Credentials, encrypted at rest.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ss_core::redact::{Redacted, Secret};

/// Why the vault did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// The file cannot be read, decrypted or understood. Nothing was changed.
    #[error("{0}")]
    Unreadable(String),
    /// The file cannot be written; the last good version stays.
    #[error("{0}")]
    Unwritable(String),
}

/// Provider tokens of this user, and service credentials of one system and environment.
#[async_trait]
pub trait Vault: Send + Sync {
    /// A provider token: `neon.api_token`.
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError>;
    /// All credentials that services wrote: service id → name → value.
    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError>;
    /// Replaces all credentials of one service; durable when it returns. An empty map removes them.
    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError>;
    /// A key for keyed digests of this system's secrets. It is stored with the first credential; until then each run has
    /// one of its own, because reading never writes. Ask again after a write rather than keep it.
    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError>;
    /// Encrypts bytes to the vault's recipients, for tapes and snapshots.
    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError>;
    /// Decrypts what `seal` made.
    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError>;
}
