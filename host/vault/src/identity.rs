//! The X25519 identity: where it comes from, and the file it is kept in.
//!
//! The file is `age-keygen`'s: comments and one secret key per line, the first one our own. It is made by the first
//! write, never by a read, and refused while others could read it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use ss_core::redact::Secret;
use ss_ports::VaultError;
use zeroize::Zeroizing;

use crate::error::{unreadable, unwritable};
use crate::files;

/// The longest identity file that is read: a hundred keys.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// Where the identity comes from.
#[derive(Debug, Clone, Default)]
pub enum IdentitySource {
    /// `<home>/identity`, made by the first write.
    #[default]
    Home,
    /// A file of the user's; it must exist (`STARSYSTEM_IDENTITY`).
    File(PathBuf),
    /// The secret key itself (`STARSYSTEM_AGE_KEY`).
    Key(Secret),
}

impl IdentitySource {
    /// What the source is called in messages.
    pub(crate) fn describe(&self, home: &Path) -> String {
        match self {
            Self::Home => format!("`{}`", file_in(home).display()),
            Self::File(path) => format!("`{}`", path.display()),
            Self::Key(_) => "the given age key".to_owned(),
        }
    }
}

pub(crate) fn file_in(home: &Path) -> PathBuf {
    home.join("identity")
}

/// Reads the identities; `None` when there are none yet, which only the home's own file may be.
pub(crate) fn load(
    source: &IdentitySource,
    home: &Path,
) -> Result<Option<Vec<Identity>>, VaultError> {
    let (path, may_be_absent) = match source {
        IdentitySource::Key(key) => return parse(key.expose(), "the given age key").map(Some),
        IdentitySource::File(path) => (path.clone(), false),
        IdentitySource::Home => (file_in(home), true),
    };
    match File::open(&path) {
        Ok(file) => read(file, &path).map(Some),
        Err(error) if may_be_absent && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// Makes the home's own identity. The caller holds the lock and knows that there is none.
pub(crate) fn create(home: &Path) -> Result<Vec<Identity>, VaultError> {
    let identity = Identity::generate();
    let path = file_in(home);
    let text = Zeroizing::new(format!(
        "# The key to your ss vault. Keep it secret, and keep a copy: nothing else opens the vault.\n\
         # public key: {}\n{}\n",
        identity.to_public(),
        identity.to_string().expose_secret(),
    ));
    files::replace(&path, text.as_bytes()).map_err(|error| unwritable(&path, error))?;
    Ok(vec![identity])
}

fn read(file: File, path: &Path) -> Result<Vec<Identity>, VaultError> {
    let failed = |error| unreadable(path, &error);
    // Asked of the open file, not of the path: there is no moment in which another file could take its place.
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(VaultError::Unreadable(format!(
            "the identity `{path}` can be read by others (mode {mode:04o}); run `chmod 600 '{path}'` and try again"
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(failed)?;
    let named = format!("the identity `{}`", path.display());
    let text = std::str::from_utf8(&bytes).map_err(|_| not_a_key(&named))?;
    parse(text, &named)
}

/// Reads identities as text. An identity under a passphrase would be unwrapped here, before the lines are read.
fn parse(text: &str, named: &str) -> Result<Vec<Identity>, VaultError> {
    if text.starts_with("age-encryption.org/") {
        return Err(VaultError::Unreadable(format!(
            "{named} is itself encrypted, which ss cannot open; decrypt it with `age -d` into a file of its own"
        )));
    }
    let keys =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities: Result<Vec<Identity>, _> =
        keys.map(|line| line.parse().map_err(|_| not_a_key(named))).collect();
    match identities {
        Ok(identities) if identities.is_empty() => Err(not_a_key(named)),
        other => other,
    }
}

fn not_a_key(named: &str) -> VaultError {
    VaultError::Unreadable(format!(
        "{named} holds no X25519 age key; it should be a line that begins with `AGE-SECRET-KEY-1`"
    ))
}
