//! The vault below one `STARSYSTEM_HOME`: the identity, the provider tokens, sealing and opening.
//!
//! Making one costs nothing: files are read at first use. Reading never writes; the first write makes the identity.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::x25519::{Identity, Recipient};
use ss_core::ident::{EnvName, SystemName};
use ss_core::redact::{Redacted, Secret};
use ss_ports::VaultError;

use crate::document::Document;
use crate::error::unwritable;
use crate::files::Lock;
use crate::format::{Stored, Tokens};
use crate::identity::{self, AskPassphrase, IdentitySource, Loaded};
use crate::key;
use crate::recipients;
use crate::seal;
use crate::system::AgeVault;

/// Where the vault is and who opens it.
#[derive(Debug, Clone)]
pub struct VaultOptions {
    /// `STARSYSTEM_HOME`. The vault is the folder `vault` in it.
    pub home: PathBuf,
    /// Where the identity comes from.
    pub identity: IdentitySource,
    /// Who is asked when the identity is under a passphrase.
    pub passphrase: AskPassphrase,
}

/// The vault of one user: provider tokens, and the way to each system's credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VaultHome(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keeper: Keeper,
    tokens: Document<Tokens>,
}

impl VaultHome {
    /// Reads and writes nothing yet.
    pub fn new(options: VaultOptions) -> Self {
        let keeper = Keeper::new(options);
        let tokens = Document::new(keeper.vault.join("tokens.age"));
        Self(Arc::new(Inner { keeper, tokens }))
    }

    /// The part that belongs to one system and environment.
    pub fn system(&self, system: &SystemName, env: &EnvName) -> AgeVault {
        let path = self.0.keeper.vault.join("systems").join(system.as_str());
        let path = path.join(format!("{env}.age"));
        AgeVault::new(self.clone(), path)
    }

    /// A provider token: `neon.api_token`.
    pub fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.tokens(|tokens| tokens.get(name).map(|stored| stored.0.clone()))
    }

    /// The names of all provider tokens, sorted.
    pub fn token_names(&self) -> Result<Vec<String>, VaultError> {
        self.tokens(|tokens| tokens.keys().cloned().collect())
    }

    /// Keeps a provider token; durable when it returns.
    pub fn set_token(&self, name: &str, value: Secret) -> Result<(), VaultError> {
        key::check(name).map_err(|error| VaultError::Unwritable(error.to_string()))?;
        self.0.tokens.change(&self.0.keeper, |tokens| {
            tokens.tokens.insert(name.to_owned(), Stored(value));
        })
    }

    /// Forgets a provider token; says whether there was one. The file's previous generation still holds it, encrypted,
    /// until the next change.
    pub fn remove_token(&self, name: &str) -> Result<bool, VaultError> {
        self.0.tokens.change(&self.0.keeper, |tokens| tokens.tokens.remove(name).is_some())
    }

    /// The vault's own public key; `None` as long as nothing was ever written.
    pub fn public_key(&self) -> Result<Option<String>, VaultError> {
        let identities = self.0.keeper.load()?;
        Ok(identities.map(|identities| identities[0].to_public().to_string()))
    }

    /// Encrypts bytes to the vault's recipients.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let lock = self.0.keeper.lock()?;
        let recipients = self.0.keeper.recipients(&lock)?;
        drop(lock);
        Ok(seal::encrypt(&recipients, plain))
    }

    /// Decrypts what `seal` made.
    pub fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        let keeper = &self.0.keeper;
        seal::decrypt(&keeper.identities()?, sealed).map_err(|error| {
            VaultError::Unreadable(match error {
                seal::NotOpened::Foreign => {
                    format!("the sealed bytes are not encrypted to {}", keeper.identity_name())
                }
                seal::NotOpened::Damaged => "the sealed bytes are damaged".to_owned(),
            })
        })
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.0.keeper
    }

    fn tokens<R>(
        &self,
        look: impl FnOnce(&BTreeMap<String, Stored>) -> R,
    ) -> Result<R, VaultError> {
        self.0.tokens.read(&self.0.keeper, |tokens| look(&tokens.tokens))
    }
}

/// Identity, recipients and lock: what every encrypted file of the home shares.
#[derive(Debug)]
pub(crate) struct Keeper {
    home: PathBuf,
    vault: PathBuf,
    source: IdentitySource,
    ask: AskPassphrase,
    identities: Mutex<Option<Identities>>,
}

/// Identities, the own one first; never empty.
#[derive(Clone)]
pub(crate) struct Identities(Arc<Loaded>);

impl fmt::Debug for Identities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl Deref for Identities {
    type Target = [Identity];
    fn deref(&self) -> &[Identity] {
        &self.0.identities
    }
}

impl Identities {
    pub(crate) fn passphrase(&self) -> Option<&Secret> {
        self.0.passphrase.as_ref()
    }
}

impl Keeper {
    fn new(options: VaultOptions) -> Self {
        let VaultOptions { home, identity, passphrase } = options;
        let vault = home.join("vault");
        Self { vault, home, source: identity, ask: passphrase, identities: Mutex::default() }
    }

    /// The vault's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.vault
    }

    /// Replaces the home's own identity file, and what is known of it. A file or a key of the user's is theirs.
    pub(crate) fn rewrite(
        &self,
        _held: &Lock,
        identities: Vec<Identity>,
        passphrase: Option<Secret>,
    ) -> Result<Identities, VaultError> {
        if !matches!(self.source, IdentitySource::Home) {
            return Err(VaultError::Unwritable(format!(
                "the identity is {}, which is not ss's to change; unset STARSYSTEM_IDENTITY and STARSYSTEM_AGE_KEY, \
                 or change it with age's own tools",
                self.identity_name()
            )));
        }
        identity::write(&self.home, &identities, passphrase.as_ref())?;
        Ok(self.remember(Loaded { identities, passphrase }))
    }

    /// What the identity is called in messages.
    pub(crate) fn identity_name(&self) -> String {
        self.source.describe(&self.home)
    }

    /// Waits for the right to write.
    pub(crate) fn lock(&self) -> Result<Lock, VaultError> {
        let path = self.vault.join(".lock");
        Lock::take(&path).map_err(|error| unwritable(&path, error))
    }

    /// The identities, for reading.
    pub(crate) fn identities(&self) -> Result<Identities, VaultError> {
        self.load()?.ok_or_else(|| self.identity_is_gone())
    }

    /// Whom to encrypt to. Makes the identity and the list of recipients when there are none yet.
    pub(crate) fn recipients(&self, _held: &Lock) -> Result<Vec<Recipient>, VaultError> {
        let identities = match self.load()? {
            Some(identities) => identities,
            // The list is made right after the identity: where it is, files may be that only the lost one opens.
            None if recipients::file_in(&self.vault).exists() => {
                return Err(self.identity_is_gone());
            }
            None => {
                let identities = vec![Identity::generate()];
                identity::write(&self.home, &identities, None)?;
                self.remember(Loaded { identities, passphrase: None })
            }
        };
        recipients::create_if_absent(&self.vault, &identities[0])?;
        recipients::load(&self.vault, &identities[0])
    }

    /// The identities; `None` when none was made yet.
    pub(crate) fn load(&self) -> Result<Option<Identities>, VaultError> {
        if let Some(known) = self.known().clone() {
            return Ok(Some(known));
        }
        let loaded = identity::load(&self.source, &self.home, &self.ask)?;
        Ok(loaded.map(|loaded| self.remember(loaded)))
    }

    fn remember(&self, loaded: Loaded) -> Identities {
        self.known().insert(Identities(Arc::new(loaded))).clone()
    }

    fn known(&self) -> MutexGuard<'_, Option<Identities>> {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity_is_gone(&self) -> VaultError {
        VaultError::Unreadable(format!(
            "the vault `{}` is there, but its identity {} is not; restore the identity from a copy, or remove the vault to start again",
            self.vault.display(),
            self.identity_name()
        ))
    }
}
