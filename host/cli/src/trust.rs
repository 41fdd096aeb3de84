//! Addresses that the user trusts with a credential, kept in the user's own home: nothing that a repository holds can add
//! one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ss_engine::Failure;

use crate::error::CommandError;

const FILE: &str = "trust.json";

/// The trusted addresses of one home.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    version: u32,
    /// In the order of the user's words.
    pub trusted: Vec<Trusted>,
}

/// One address that may get what a connection gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// The connection's name.
    pub connection: String,
    /// The whole base URL, as an overlay has to write it.
    pub base_url: String,
}

impl Trust {
    /// Reads it; a home without the file trusts nobody.
    pub fn load(home: &Path) -> Result<Self, CommandError> {
        let path = home.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .ok()
                .filter(|trust: &Self| trust.version == 1)
                .ok_or_else(|| unusable(&path, "it is damaged, or of a newer version")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { version: 1, trusted: Vec::new() })
            }
            Err(error) => Err(unusable(&path, &error.to_string())),
        }
    }

    /// Whether a connection's credential may go to this address.
    pub fn covers(&self, connection: &str, base_url: &str) -> bool {
        let same = |known: &Trusted| known.connection == connection && known.base_url == base_url;
        self.trusted.iter().any(same)
    }

    /// Writes it, whole or not at all.
    pub fn save(&self, home: &Path) -> Result<(), CommandError> {
        let path = home.join(FILE);
        let temporary = home.join(format!(".{FILE}.{}", std::process::id()));
        write_new(home, &temporary, self)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|error| unusable(&path, &error.to_string()))
    }
}

fn write_new(home: &Path, temporary: &PathBuf, trust: &Trust) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(serde_json::to_string_pretty(trust)?.as_bytes())?;
    file.sync_all()
}

fn unusable(path: &Path, why: &str) -> CommandError {
    Failure::new("SS0605", format!("`{}` cannot be used: {why}", path.display()))
        .hint("mend or remove it; without it no address is trusted")
        .into()
}
