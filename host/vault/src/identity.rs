//! The X25519 identity: where it comes from, and the file it is kept in.
//!
//! The file is `age-keygen`'s: comments and one secret key per line, the first one our own; the whole may be encrypted
//! with a passphrase, as `age -p` does. It is made by the first write, never by a read, and refused while others could
//! read it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use ss_core::redact::Secret;
use ss_ports::VaultError;
use zeroize::Zeroizing;

use crate::error::{unreadable, unwritable};
use crate::files;
use crate::seal::{self, NotOpened};

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

/// Asks for the passphrase around an identity; the argument names the identity. Called at most once per run, and
/// only when there is one.
#[derive(Clone)]
pub struct AskPassphrase(Arc<Ask>);

type Ask = dyn Fn(&str) -> Result<Secret, String> + Send + Sync;

impl AskPassphrase {
    /// Asks in this way.
    pub fn new(ask: impl Fn(&str) -> Result<Secret, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl Default for AskPassphrase {
    /// Nobody is there to ask.
    fn default() -> Self {
        Self::new(|named| Err(format!("{named} is under a passphrase, and nobody is there to ask")))
    }
}

impl fmt::Debug for AskPassphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AskPassphrase")
    }
}

/// What an identity file holds.
pub(crate) struct Loaded {
    pub(crate) identities: Vec<Identity>,
    /// What the file is encrypted with, when it is.
    pub(crate) passphrase: Option<Secret>,
}

/// Reads the identities; `None` when there are none yet, which only the home's own file may be.
pub(crate) fn load(
    source: &IdentitySource,
    home: &Path,
    ask: &AskPassphrase,
) -> Result<Option<Loaded>, VaultError> {
    let (path, may_be_absent) = match source {
        IdentitySource::Key(key) => {
            let identities = parse(key.expose(), "the given age key")?;
            return Ok(Some(Loaded { identities, passphrase: None }));
        }
        IdentitySource::File(path) => (path.clone(), false),
        IdentitySource::Home => (file_in(home), true),
    };
    match File::open(&path) {
        Ok(file) => read(file, &path, ask).map(Some),
        Err(error) if may_be_absent && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// Writes the home's own identity file, the first identity being the one that counts. The caller holds the lock.
pub(crate) fn write(
    home: &Path,
    identities: &[Identity],
    passphrase: Option<&Secret>,
) -> Result<(), VaultError> {
    let mut text = Zeroizing::new(String::with_capacity(256 * (identities.len() + 1)));
    text.push_str(
        "# The key to your ss vault. Keep it secret, and keep a copy: nothing else opens the vault.\n",
    );
    for (index, identity) in identities.iter().enumerate() {
        let note = if index == 0 { "" } else { " (older; for what was sealed to it)" };
        text.push_str(&format!("# public key: {}{note}\n", identity.to_public()));
        text.push_str(identity.to_string().expose_secret());
        text.push('\n');
    }
    let path = file_in(home);
    let sealed = passphrase.map(|passphrase| seal::encrypt_with(passphrase, text.as_bytes()));
    let bytes = sealed.as_deref().unwrap_or(text.as_bytes());
    files::replace(&path, bytes).map_err(|error| unwritable(&path, error))
}

fn read(file: File, path: &Path, ask: &AskPassphrase) -> Result<Loaded, VaultError> {
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
    if !bytes.starts_with(b"age-encryption.org/") {
        let text = std::str::from_utf8(&bytes).map_err(|_| not_a_key(&named))?;
        return Ok(Loaded { identities: parse(text, &named)?, passphrase: None });
    }
    let passphrase = (ask.0)(&named).map_err(VaultError::Unreadable)?;
    let plain =
        seal::decrypt_with(&passphrase, &bytes).map_err(|error| not_opened(error, &named))?;
    let text = std::str::from_utf8(plain.expose()).map_err(|_| not_a_key(&named))?;
    Ok(Loaded { identities: parse(text, &named)?, passphrase: Some(passphrase) })
}

fn not_opened(error: NotOpened, named: &str) -> VaultError {
    VaultError::Unreadable(match error {
        NotOpened::Foreign => format!("the passphrase does not open {named}"),
        NotOpened::Damaged => {
            format!("{named} is encrypted, and not by a passphrase alone, or it is damaged")
        }
    })
}

/// Reads identities as text.
fn parse(text: &str, named: &str) -> Result<Vec<Identity>, VaultError> {
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
