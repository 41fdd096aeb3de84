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

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The age public key.
    pub key: String,
    /// The comment behind it, often a name.
    pub comment: String,
    /// Whether it is this vault's own key.
    pub own: bool,
}

/// Our own key and all listed ones.
pub(crate) fn load(vault: &Path, own: &Identity) -> Result<Vec<Recipient>, VaultError> {
    let mut recipients = vec![own.to_public()];
    for listed in list(vault, own)?.into_iter().filter(|listed| !listed.own) {
        // `list` has read it as a key already.
        recipients.extend(listed.key.parse::<Recipient>());
    }
    Ok(recipients)
}

/// The list as it stands, our own key first whether it is listed or not.
pub(crate) fn list(vault: &Path, own: &Identity) -> Result<Vec<Listed>, VaultError> {
    let path = file_in(vault);
    let own = own.to_public().to_string();
    let mut first = Listed { key: own.clone(), comment: String::new(), own: true };
    let mut others = Vec::new();
    for (index, line) in text(&path)?.lines().enumerate() {
        let (key, comment) = split(line);
        if key == own {
            first.comment = comment.to_owned();
        } else if !key.is_empty() {
            key.parse::<Recipient>().map_err(|_| not_a_recipient(&path, index + 1))?;
            let (key, comment) = (key.to_owned(), comment.to_owned());
            others.push(Listed { key, comment, own: false });
        }
    }
    others.insert(0, first);
    Ok(others)
}

/// Adds a line, unless the key is listed; says whether it was added. The caller holds the lock.
pub(crate) fn add(vault: &Path, key: &Recipient, comment: &str) -> Result<bool, VaultError> {
    let path = file_in(vault);
    let mut text = text(&path)?;
    let key = key.to_string();
    if text.lines().any(|line| split(line).0 == key) {
        return Ok(false);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let comment = if comment.is_empty() { String::new() } else { format!("  # {comment}") };
    text.push_str(&format!("{key}{comment}\n"));
    files::replace(&path, text.as_bytes()).map_err(|error| unwritable(&path, error))?;
    Ok(true)
}

/// Takes a key's lines out; says whether there were any. Other lines stay as they are. The caller holds the lock.
pub(crate) fn remove(vault: &Path, key: &str) -> Result<bool, VaultError> {
    let path = file_in(vault);
    let before = text(&path)?;
    let after: String = before.split_inclusive('\n').filter(|line| split(line).0 != key).collect();
    if after == before {
        return Ok(false);
    }
    files::replace(&path, after.as_bytes()).map_err(|error| unwritable(&path, error))?;
    Ok(true)
}

fn text(path: &Path) -> Result<String, VaultError> {
    let bytes = files::read_if_there(path).map_err(|error| unreadable(path, &error))?;
    Ok(String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned())
}

/// A line's key and comment.
fn split(line: &str) -> (&str, &str) {
    let (key, comment) = line.split_once('#').unwrap_or((line, ""));
    (key.trim(), comment.trim())
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
