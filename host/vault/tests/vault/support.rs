//! A home of its own for each test, and short ways to say things.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use ss_core::ident::{EnvName, ServiceId, SystemName};
use ss_core::redact::Secret;
use ss_ports::VaultError;
use ss_vault::{AgeVault, AskPassphrase, IdentitySource, VaultHome, VaultOptions};
use tempfile::TempDir;

/// A home that is gone after the test.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// `STARSYSTEM_HOME`: not there yet.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// What a new run of `ss` sees.
    pub fn vault(&self) -> VaultHome {
        self.vault_of(IdentitySource::Home)
    }

    pub fn vault_of(&self, identity: IdentitySource) -> VaultHome {
        VaultHome::new(VaultOptions {
            home: self.path(),
            identity,
            passphrase: AskPassphrase::default(),
        })
    }

    /// A run of `ss` whose user knows this passphrase.
    pub fn vault_under(&self, passphrase: &'static str) -> VaultHome {
        let passphrase = AskPassphrase::new(move |_| Ok(Secret::from(passphrase)));
        VaultHome::new(VaultOptions {
            home: self.path(),
            identity: IdentitySource::Home,
            passphrase,
        })
    }

    pub fn prod(&self) -> AgeVault {
        system(&self.vault(), "my-app", "prod")
    }

    /// Every file below the home, and its content.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        if self.path().exists() {
            collect(&self.path(), &mut files);
        }
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
}

pub fn system(vault: &VaultHome, system: &str, env: &str) -> AgeVault {
    vault.system(&SystemName::new(system).unwrap(), &EnvName::new(env).unwrap())
}

pub fn service(id: &str) -> ServiceId {
    ServiceId::new(id).unwrap()
}

pub fn secret(text: &str) -> Secret {
    Secret::from(text)
}

pub fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect()
}

pub fn exposed(value: Option<Secret>) -> Option<String> {
    value.map(|value| value.expose().clone())
}

/// The answer of one of the port's functions, none of which ever waits for anything.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the vault waited")
}

/// The sentence of an error, which must never hold a value.
pub fn sentence<T>(result: Result<T, VaultError>) -> String {
    let Err(error) = result else { panic!("no error where one was due") };
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    error.to_string()
}
