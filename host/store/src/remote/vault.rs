//! What services wrote, for every machine that shares the state. Provider tokens stay with each person's own vault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use ss_core::redact::{Redacted, Secret};
use ss_ports::{StoreError, Vault, VaultError};
use zeroize::{Zeroize, Zeroizing};

use super::objects::{Objects, Put, Version, When};
use super::place::Place;

const KEY: &str = "credentials";
/// How often to begin again when another run wrote at the same moment.
const ATTEMPTS: usize = 5;

type Values = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Default, Serialize, Deserialize)]
struct Document {
    version: u32,
    digest_key: Option<Vec<u8>>,
    credentials: Values,
}

impl Drop for Document {
    fn drop(&mut self) {
        self.digest_key.zeroize();
        self.credentials.values_mut().flat_map(BTreeMap::values_mut).for_each(Zeroize::zeroize);
    }
}

/// The vault of a system and environment whose state is shared.
pub struct SharedVault {
    place: Place,
    inner: Arc<dyn Vault>,
}

impl SharedVault {
    /// Service credentials in these objects, everything else in the inner vault.
    pub fn open(objects: Arc<dyn Objects>, inner: Arc<dyn Vault>) -> Result<Self, StoreError> {
        Ok(Self { place: Place::new(objects, inner.clone())?, inner })
    }

    /// Takes over all credentials of another vault, with the key that their digests were made with.
    pub async fn take_over(&self, from: &dyn Vault) -> Result<(), VaultError> {
        let digest_key = from.digest_key().await?;
        let credentials = from.credentials().await?;
        self.change(move |document| {
            document.digest_key = Some(digest_key.expose().clone());
            document.credentials = credentials
                .iter()
                .map(|(service, values)| (service.clone(), exposed(values)))
                .collect();
        })
        .await
    }

    /// Keeps one credential, or with `None` forgets it; says whether it was there before.
    pub async fn set(
        &self,
        service: &str,
        name: &str,
        value: Option<&Secret>,
    ) -> Result<bool, VaultError> {
        let was_there = AtomicBool::new(false);
        self.change(|document| {
            let values = document.credentials.entry(service.to_owned()).or_default();
            let before = match value {
                Some(value) => values.insert(name.to_owned(), value.expose().clone()),
                None => values.remove(name),
            };
            was_there.store(before.is_some(), Ordering::Relaxed);
            let _ = before.map(Zeroizing::new);
            document.credentials.retain(|_, values| !values.is_empty());
        })
        .await?;
        Ok(was_there.into_inner())
    }

    async fn read(&self) -> Result<(Document, Option<Version>), VaultError> {
        let found = self.place.get(KEY).await;
        let found = found.map_err(|error| VaultError::Unreadable(error.to_string()))?;
        let Some((bytes, version)) = found else {
            let mut empty = Document::default();
            empty.version = 1;
            return Ok((empty, None));
        };
        let document: Document = serde_json::from_slice(&bytes).map_err(|_| {
            VaultError::Unreadable(
                "the shared credentials are damaged; nothing was changed".to_owned(),
            )
        })?;
        if document.version > 1 {
            return Err(VaultError::Unreadable(format!(
                "the shared credentials have version {}, and this `ss` knows 1; use a newer `ss`",
                document.version
            )));
        }
        Ok((document, Some(version)))
    }

    async fn change(&self, edit: impl Fn(&mut Document) + Send) -> Result<(), VaultError> {
        let unwritable = |why: String| VaultError::Unwritable(why);
        for _ in 0..ATTEMPTS {
            let (mut document, version) = self.read().await?;
            if document.digest_key.is_none() {
                document.digest_key = Some(self.inner.digest_key().await?.expose().clone());
            }
            edit(&mut document);
            let plain =
                serde_json::to_vec(&document).map_err(|error| unwritable(error.to_string()))?;
            let plain = Zeroizing::new(plain);
            let when = version.map_or(When::Absent, When::Unchanged);
            let put = self.place.put(KEY, &plain, when).await;
            match put.map_err(|error| unwritable(error.to_string()))? {
                Put::Written(_) => return Ok(()),
                Put::Overtaken => {}
            }
        }
        Err(unwritable("the shared credentials keep changing".to_owned()))
    }
}

fn exposed(values: &BTreeMap<String, Secret>) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| (name.clone(), value.expose().clone())).collect()
}

#[async_trait]
impl Vault for SharedVault {
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.inner.token(name).await
    }

    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError> {
        let (document, _) = self.read().await?;
        let secret =
            |(name, value): (&String, &String)| (name.clone(), Secret::from(value.as_str()));
        let services = document.credentials.iter();
        Ok(services
            .map(|(service, values)| (service.clone(), values.iter().map(secret).collect()))
            .collect())
    }

    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        self.change(|document| {
            document.credentials.remove(service);
            if !values.is_empty() {
                document.credentials.insert(service.to_owned(), exposed(&values));
            }
        })
        .await
    }

    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        match &self.read().await?.0.digest_key {
            Some(key) => Ok(Redacted::new(key.clone())),
            None => self.inner.digest_key().await,
        }
    }

    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.inner.seal(plain).await
    }

    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.open(sealed).await
    }
}
