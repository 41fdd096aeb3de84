//! Who can open the vault, changed: the list of recipients, the own key, and the passphrase around it.
//!
//! Each change can be killed anywhere: what is on disk then still opens with what is on disk, and the same command again
//! finishes it. What the store sealed earlier (tapes, snapshots) stays sealed as it was.

use std::path::{Path, PathBuf};

use age::x25519::{Identity, Recipient};
use ss_core::redact::Secret;
use ss_ports::VaultError;

use crate::error::{damaged, foreign, unreadable, unwritable};
use crate::files::{self, Lock};
use crate::home::{Keeper, VaultHome};
use crate::recipients::{self, Listed};
use crate::seal::{self, NotOpened};

/// What a change of keys did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// Whether the list or the key changed. The files are encrypted again in any case.
    pub changed: bool,
    /// How many files were encrypted again.
    pub files: usize,
}

impl VaultHome {
    /// Who can read the vault, the own key first. Empty as long as nothing was ever written.
    pub fn recipients(&self) -> Result<Vec<Listed>, VaultError> {
        match self.keeper().load()? {
            Some(identities) => recipients::list(self.keeper().folder(), &identities[0]),
            None => Ok(Vec::new()),
        }
    }

    /// Lets one more key read the vault, from its present content on.
    pub fn add_recipient(&self, key: &str, comment: &str) -> Result<Resealed, VaultError> {
        let recipient: Recipient = key.trim().parse().map_err(|_| {
            VaultError::Unwritable(
                "this is not an age public key; it should begin with `age1`".to_owned(),
            )
        })?;
        let keeper = self.keeper();
        let lock = keeper.lock()?;
        keeper.recipients(&lock)?;
        let changed = recipients::add(keeper.folder(), &recipient, comment)?;
        Ok(Resealed { changed, files: reseal(keeper, &lock)? })
    }

    /// Takes a key off the list and encrypts everything without it. What it could read before, it may have kept.
    pub fn remove_recipient(&self, key: &str) -> Result<Resealed, VaultError> {
        let keeper = self.keeper();
        let lock = keeper.lock()?;
        let identities = keeper.identities()?;
        if key == identities[0].to_public().to_string() {
            return Err(VaultError::Unwritable(
                "this is the vault's own key; without it nobody here could read the vault. \
                 `ss vault rotate-key` gives it a new one"
                    .to_owned(),
            ));
        }
        let changed = recipients::remove(keeper.folder(), key)?;
        Ok(Resealed { changed, files: reseal(keeper, &lock)? })
    }

    /// Gives the vault a new key and encrypts everything to it. The old key stays in the identity file, behind the new
    /// one, for what was sealed to it.
    pub fn rotate_key(&self) -> Result<Resealed, VaultError> {
        let keeper = self.keeper();
        let lock = keeper.lock()?;
        let known = keeper.identities()?;
        let mut identities = vec![Identity::generate()];
        identities.extend(known.iter().cloned());
        let old = known[0].to_public().to_string();
        let known = keeper.rewrite(&lock, identities, known.passphrase().cloned())?;
        recipients::add(keeper.folder(), &known[0].to_public(), "")?;
        recipients::remove(keeper.folder(), &old)?;
        Ok(Resealed { changed: true, files: reseal(keeper, &lock)? })
    }

    /// Puts a passphrase around the identity file, changes it, or takes it off.
    pub fn set_passphrase(&self, passphrase: Option<Secret>) -> Result<(), VaultError> {
        let keeper = self.keeper();
        let lock = keeper.lock()?;
        // Made now if there is none yet: a passphrase may be the first thing a careful user sets.
        keeper.recipients(&lock)?;
        let identities = keeper.identities()?.to_vec();
        keeper.rewrite(&lock, identities, passphrase).map(drop)
    }
}

/// Encrypts every file again to the present recipients. All of them are opened first, so that one that cannot be keeps
/// everything as it is; the generations before, which others may still open, go.
fn reseal(keeper: &Keeper, lock: &Lock) -> Result<usize, VaultError> {
    let recipients = keeper.recipients(lock)?;
    let identities = keeper.identities()?;
    let mut opened = Vec::new();
    for path in sealed_files(keeper.folder())? {
        let sealed = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let plain = seal::decrypt(&identities, &sealed).map_err(|error| match error {
            NotOpened::Foreign => foreign(&path, &keeper.identity_name()),
            NotOpened::Damaged => damaged(&path),
        })?;
        opened.push((path, plain));
    }
    for (path, plain) in &opened {
        let sealed = seal::encrypt(&recipients, plain.expose());
        files::replace(path, &sealed).map_err(|error| unwritable(path, error))?;
        let previous = files::previous(path);
        files::remove_if_there(&previous).map_err(|error| unwritable(&previous, error))?;
    }
    Ok(opened.len())
}

/// `tokens.age` and `systems/<system>/<env>.age`.
fn sealed_files(vault: &Path) -> Result<Vec<PathBuf>, VaultError> {
    let mut files = Vec::new();
    let mut folders = vec![vault.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| unreadable(&folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "age") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
