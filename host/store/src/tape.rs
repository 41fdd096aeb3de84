//! Tapes: what one provisioner call asked and was answered, secrets included, so sealed from the first byte.
//!
//! A tape begins with a mark, the length of a sealed key, and the key: 32 random bytes that only the vault can
//! open, the same for all tapes that one process writes (sealing to a public key costs more than everything else of a
//! tape). It opens the tape's own key, which follows. In the first version the sealed key was the tape's own. Each record follows as its length and a ChaCha20-Poly1305 box. The nonce is the record's number (the key
//! is never used for another tape), and call and number are authenticated: a record cannot be changed, moved, left
//! out before another, or put into another tape. Reading stops at the first record that is cut off or does not
//! open; what was durable is before it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use ss_ports::{CallId, StoreError, TapeRecord, TapeWriter, Vault};
use zeroize::Zeroizing;

use crate::files::{self, failed};

const MARK: &[u8] = b"ss-tape\x02";
/// The mark of tapes whose own key the vault sealed.
const MARK_FIRST: &[u8] = b"ss-tape\x01";
const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;
/// The tape's own key as it stands in the tape: nonce, key, tag.
const OWN_KEY_LENGTH: usize = NONCE_LENGTH + KEY_LENGTH + 16;

/// Seals the keys of all tapes that one process writes.
pub(crate) struct RunKey {
    cipher: ChaCha20Poly1305,
    sealed: Vec<u8>,
}

impl RunKey {
    /// A fresh key, sealed by the vault.
    pub(crate) async fn make(vault: &dyn Vault, path: &Path) -> Result<Self, StoreError> {
        let key = random::<KEY_LENGTH>(path)?;
        let sealed = vault
            .seal(&*key)
            .await
            .map_err(|error| StoreError::Io(format!("cannot seal {}: {error}", path.display())))?;
        let cipher = ChaCha20Poly1305::new_from_slice(&*key).expect("the key has its length");
        Ok(Self { cipher, sealed })
    }

    /// A tape's own key as it stands in the tape. Nonces are random: of so few keys no two share one.
    fn wrap(&self, key: &[u8], path: &Path) -> Result<Vec<u8>, StoreError> {
        let nonce = random::<NONCE_LENGTH>(path)?;
        let wrapped = self.cipher.encrypt(&Nonce::from(*nonce), key);
        Ok([&nonce[..], &wrapped.expect("a key is not too large")].concat())
    }
}

/// The tape's own key out of what stands in the tape.
fn unwrap(run_key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, wrapped) = wrapped.split_first_chunk::<NONCE_LENGTH>()?;
    let cipher = ChaCha20Poly1305::new_from_slice(run_key).ok()?;
    cipher.decrypt(&Nonce::from(*nonce), wrapped).ok().map(Zeroizing::new)
}

fn random<const LENGTH: usize>(path: &Path) -> Result<Zeroizing<[u8; LENGTH]>, StoreError> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        StoreError::Io(format!("cannot make a key for {}: {error}", path.display()))
    })?;
    Ok(bytes)
}

/// A tape that is being written.
pub(crate) struct FileTape {
    file: File,
    path: PathBuf,
    sealer: Sealer,
    length: u64,
    /// Whether the file's name in the directory is durable.
    is_named: bool,
    /// Whether a failed write could not be taken back.
    is_broken: bool,
}

/// Begins a tape; one that is there already is set aside.
pub(crate) fn create(path: PathBuf, call: &CallId, key: &RunKey) -> Result<FileTape, StoreError> {
    let own = random::<KEY_LENGTH>(&path)?;
    let length = u32::try_from(key.sealed.len()).map_err(|_| {
        StoreError::Io(format!("cannot seal {}: the key's box is too large", path.display()))
    })?;
    let wrapped = key.wrap(&*own, &path)?;
    let head = [MARK, &length.to_le_bytes(), &key.sealed, &wrapped].concat();
    files::create_dir(path.parent().expect("a tape is in a directory"))?;
    set_aside(&path)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(&head).map(|()| file))
        .map_err(|error| failed("create", &path, &error))?;
    let sealer = Sealer::new(&*own, call).expect("the key has its length");
    Ok(FileTape {
        file,
        path,
        sealer,
        length: head.len() as u64,
        is_named: false,
        is_broken: false,
    })
}

fn set_aside(path: &Path) -> Result<(), StoreError> {
    match fs::rename(path, path.with_extension("tape.old")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("set aside", path, &error)),
        _ => Ok(()),
    }
}

#[async_trait]
impl TapeWriter for FileTape {
    async fn append(&mut self, record: &TapeRecord, durable: bool) -> Result<(), StoreError> {
        let written = self.write(record, durable);
        written.map_err(|error| failed("append to", &self.path, &error))
    }

    fn length(&self) -> u64 {
        self.length
    }
}

impl FileTape {
    fn write(&mut self, record: &TapeRecord, durable: bool) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an earlier write failed half-way"));
        }
        let plain = Zeroizing::new(serde_json::to_vec(record)?);
        let sealed = self.sealer.seal(&plain)?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        let frame = [&length.to_le_bytes(), &sealed[..]].concat();
        let written =
            self.file.write_all(&frame).and_then(|()| if durable { self.sync() } else { Ok(()) });
        if let Err(error) = written {
            // The record was not promised; half of it would hide those that follow.
            self.is_broken = self.take_back().is_err();
            return Err(error);
        }
        self.length += frame.len() as u64;
        self.sealer.next += 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if !self.is_named {
            files::sync_parent(&self.path).map_err(io::Error::other)?;
            self.is_named = true;
        }
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<()> {
        use io::Seek;
        self.file.set_len(self.length)?;
        self.file.seek(io::SeekFrom::Start(self.length))?;
        self.file.sync_data()
    }
}

/// Reads a tape up to where it is whole; `None` when there is none.
pub(crate) async fn read(
    path: &Path,
    call: &CallId,
    vault: &dyn Vault,
) -> Result<Option<Vec<TapeRecord>>, StoreError> {
    let Some(bytes) = files::read(path)? else { return Ok(None) };
    let damaged =
        |reason: &str| StoreError::Damaged(format!("the tape {} {reason}", path.display()));
    let (sealed, own, mut frames) = match split_head(&bytes) {
        Head::Whole { sealed, own, frames } => (sealed, own, frames),
        Head::CutOff => return Ok(Some(Vec::new())),
        Head::Foreign => return Err(damaged("is not a tape of this version of `ss`")),
    };
    let key =
        vault.open(sealed).await.map_err(|error| damaged(&format!("cannot be opened: {error}")))?;
    let own = match own {
        Some(own) => unwrap(key.expose(), own),
        None => Some(Zeroizing::new(key.expose().clone())),
    };
    let sealer = own.and_then(|own| Sealer::new(&own, call));
    let mut sealer = sealer.ok_or_else(|| damaged("has no key"))?;
    let mut records = Vec::new();
    while let Some((sealed, rest)) = split_frame(frames) {
        let Some(plain) = sealer.open(sealed) else { break };
        let record = serde_json::from_slice(&plain).map_err(|error| {
            damaged(&format!("holds a record that this version of `ss` does not know: {error}"))
        })?;
        records.push(record);
        frames = rest;
    }
    Ok(Some(records))
}

enum Head<'b> {
    /// In the first version there is no `own` key beside the sealed one.
    Whole {
        sealed: &'b [u8],
        own: Option<&'b [u8]>,
        frames: &'b [u8],
    },
    CutOff,
    Foreign,
}

fn split_head(bytes: &[u8]) -> Head<'_> {
    // Before the first durable record a power cut may leave less than the head, or nothing but zeros.
    if bytes.len() < MARK.len() || bytes.iter().all(|byte| *byte == 0) {
        return Head::CutOff;
    }
    let own_length = if bytes.starts_with(MARK) {
        OWN_KEY_LENGTH
    } else if bytes.starts_with(MARK_FIRST) {
        0
    } else {
        return Head::Foreign;
    };
    match split_frame(&bytes[MARK.len()..]) {
        Some((sealed, rest)) if rest.len() >= own_length => {
            let (own, frames) = rest.split_at(own_length);
            Head::Whole { sealed, own: Some(own).filter(|own| !own.is_empty()), frames }
        }
        _ => Head::CutOff,
    }
}

/// A length, as many bytes, and what follows.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// The key of one tape, and the number of the next record.
struct Sealer {
    cipher: ChaCha20Poly1305,
    call: String,
    next: u64,
}

impl Sealer {
    fn new(key: &[u8], call: &CallId) -> Option<Self> {
        let cipher = ChaCha20Poly1305::new_from_slice(key).ok()?;
        let call = format!("{}/{}-{}", call.deploy, call.service, call.number);
        Some(Self { cipher, call, next: 0 })
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.next.to_le_bytes());
        Nonce::from(nonce)
    }

    fn identity(&self) -> Vec<u8> {
        format!("{}/{}", self.call, self.next).into_bytes()
    }

    fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let payload = Payload { msg: plain, aad: &self.identity() };
        self.cipher
            .encrypt(&self.nonce(), payload)
            .map_err(|_| io::Error::other("the record is too large"))
    }

    fn open(&mut self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload { msg: sealed, aad: &self.identity() };
        let plain = self.cipher.decrypt(&self.nonce(), payload).ok()?;
        self.next += 1;
        Some(Zeroizing::new(plain))
    }
}
