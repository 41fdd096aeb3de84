//! The credentials of one system and environment, and the port that the engine sees.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use async_trait::async_trait;
use ss_core::ident::ServiceId;
use ss_core::redact::{Redacted, Secret};
use ss_ports::{Vault, VaultError};

use crate::document::Document;
use crate::format::{Credentials, Stored};
use crate::home::VaultHome;
use crate::key::{self, Key};

/// The vault as one system and environment sees it.
#[derive(Debug)]
pub struct AgeVault {
    home: VaultHome,
    document: Document<Credentials>,
    /// The digest key of this run, as long as none is stored.
    fresh_digest_key: OnceLock<Secret>,
}

impl AgeVault {
    pub(crate) fn new(home: VaultHome, path: PathBuf) -> Self {
        let document = Document::new(path);
        Self { home, document, fresh_digest_key: OnceLock::new() }
    }

    /// The vault it is a part of.
    pub fn home(&self) -> &VaultHome {
        &self.home
    }

    /// One credential that a service wrote.
    pub fn credential(
        &self,
        service: &ServiceId,
        name: &str,
    ) -> Result<Option<Secret>, VaultError> {
        self.document.read(self.home.keeper(), |content| {
            let stored = content.credentials.get(service.as_str())?.get(name)?;
            Some(stored.0.clone())
        })
    }

    /// The names of all credentials, sorted. Entries whose service is no service id (nothing writes such) are left out.
    pub fn credential_names(&self) -> Result<Vec<Key>, VaultError> {
        self.document.read(self.home.keeper(), |content| {
            let keys = content.credentials.iter().filter_map(|(service, values)| {
                let service = ServiceId::new(service.clone()).ok()?;
                let key = move |name: &String| Key::Credential {
                    service: service.clone(),
                    name: name.clone(),
                };
                Some(values.keys().map(key))
            });
            keys.flatten().collect()
        })
    }

    /// Keeps one credential; durable when it returns.
    pub fn set_credential(
        &self,
        service: &ServiceId,
        name: &str,
        value: Secret,
    ) -> Result<(), VaultError> {
        key::check(name).map_err(|error| VaultError::Unwritable(error.to_string()))?;
        self.change(|content| {
            let values = content.credentials.entry(service.as_str().to_owned()).or_default();
            values.insert(name.to_owned(), Stored(value));
        })
    }

    /// Forgets one credential; says whether there was one. The file's previous generation still holds it, encrypted,
    /// until the next change.
    pub fn remove_credential(&self, service: &ServiceId, name: &str) -> Result<bool, VaultError> {
        self.change(|content| {
            let Some(values) = content.credentials.get_mut(service.as_str()) else {
                return false;
            };
            let was_there = values.remove(name).is_some();
            content.credentials.retain(|_, values| !values.is_empty());
            was_there
        })
    }

    /// Stores the digest key now, instead of with the first credential.
    pub fn ensure_digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        let fresh = self.fresh_digest_key();
        let key = self.document.change(self.home.keeper(), |content| {
            content.digest_key.get_or_insert_with(|| Stored(fresh.clone())).0.clone()
        })?;
        Ok(bytes(&key))
    }

    /// Changes the file. Whoever writes a credential stores the digest key with it: there is never a credential whose
    /// digest the next run could not compute again.
    fn change<R>(&self, edit: impl FnOnce(&mut Credentials) -> R) -> Result<R, VaultError> {
        let fresh = self.fresh_digest_key();
        self.document.change(self.home.keeper(), |content| {
            let answer = edit(content);
            if !content.credentials.is_empty() {
                content.digest_key.get_or_insert_with(|| Stored(fresh.clone()));
            }
            answer
        })
    }

    fn fresh_digest_key(&self) -> &Secret {
        self.fresh_digest_key.get_or_init(|| Secret::new(random_hex()))
    }
}

/// The key is the text itself: 64 hex digits hold 256 random bits, and need no decoding.
fn bytes(key: &Secret) -> Redacted<Vec<u8>> {
    Redacted::new(key.expose().as_bytes().to_vec())
}

fn random_hex() -> String {
    let mut random = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *random).unwrap_or_else(|_| unreachable!("the system gives random bytes"));
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    random.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[async_trait]
impl Vault for AgeVault {
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.home.token(name)
    }

    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError> {
        let values = |values: &BTreeMap<String, Stored>| {
            values.iter().map(|(name, stored)| (name.clone(), stored.0.clone())).collect()
        };
        self.document.read(self.home.keeper(), |content| {
            let services = content.credentials.iter();
            services.map(|(service, stored)| (service.clone(), values(stored))).collect()
        })
    }

    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        // Most services give nothing to others, and that is no reason to touch the file.
        if values.is_empty()
            && self
                .document
                .read(self.home.keeper(), |content| !content.credentials.contains_key(service))?
        {
            return Ok(());
        }
        // No check of names here: by now the resource exists, and a secret refused would be a secret lost.
        let values: BTreeMap<_, _> =
            values.into_iter().map(|(name, value)| (name, Stored(value))).collect();
        self.change(|content| {
            content.credentials.remove(service);
            if !values.is_empty() {
                content.credentials.insert(service.to_owned(), values);
            }
        })
    }

    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        let stored = self.document.read(self.home.keeper(), |content| {
            content.digest_key.as_ref().map(|stored| stored.0.clone())
        })?;
        Ok(bytes(stored.as_ref().unwrap_or_else(|| self.fresh_digest_key())))
    }

    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.home.seal(plain)
    }

    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.home.open(sealed)
    }
}
