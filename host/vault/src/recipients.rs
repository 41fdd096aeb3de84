//! Who can read the vault: `vault/recipients`, one public key per line, `#` begins a comment.
//!
//! Our own key always counts as one, listed or not: a vault that its writer cannot read again helps nobody.

use std::path::{Path, PathBuf};

use age::x25519::{Identity, Recipient};
use ss_ports::VaultError;

use crate::error::{unreadable, unwritable};
use crate::files;

pub(crate) fn file_in(vault: &Path) -> PathBuf {
    vault.join("recipients")
}

/// Our own key and all listed ones.
pub(crate) fn load(vault: &Path, own: &Identity) -> Result<Vec<Recipient>, VaultError> {
    let path = file_in(vault);
    let bytes = files::read_if_there(&path).map_err(|error| unreadable(&path, &error))?;
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let own = own.to_public();
    let mut recipients = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let key = line.split('#').next().unwrap_or_default().trim();
        if key.is_empty() || key == own.to_string() {
            continue;
        }
        recipients.push(key.parse().map_err(|_| not_a_recipient(&path, index + 1))?);
    }
    recipients.insert(0, own);
    Ok(recipients)
}

/// Begins the list with our own key, if there is no list yet. The caller holds the lock.
pub(crate) fn create_if_absent(vault: &Path, own: &Identity) -> Result<(), VaultError> {
    let path = file_in(vault);
    if path.exists() {
        return Ok(());
    }
    let text =
        format!("# Who can read this vault: age public keys, one per line.\n{}\n", own.to_public());
    files::replace(&path, text.as_bytes()).map_err(|error| unwritable(&path, error))
}

fn not_a_recipient(path: &Path, line: usize) -> VaultError {
    VaultError::Unreadable(format!(
        "`{}` line {line} is not an age public key; it should begin with `age1`",
        path.display()
    ))
}
