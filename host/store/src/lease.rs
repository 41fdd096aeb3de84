//! The right to write: a lock that the kernel takes back when the process dies, however it dies.
//!
//! The lock file stays; its text only tells others who holds it and is never trusted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ss_ports::{Holder, Lease, StoreError};

use crate::files::{self, failed};

/// How often to look again while the holder has not written its name yet.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A held lock.
pub(crate) struct FileLease {
    file: File,
    path: PathBuf,
}

impl FileLease {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path, holder: &Holder) -> Result<Self, StoreError> {
        files::create_dir(path.parent().expect("the lock is in a directory"))?;
        for _ in 0..LOOKS {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) => {
                    let lease = Self { file, path: path.to_owned() };
                    // Somebody may have removed the file after it was opened; then this lock excludes nobody.
                    if lease.is_held() {
                        lease.sign(holder)?;
                        return Ok(lease);
                    }
                }
                Err(TryLockError::WouldBlock) => match read_holder(&file) {
                    Some(holder) => return Err(StoreError::Locked(holder)),
                    None => std::thread::sleep(BETWEEN_LOOKS),
                },
                Err(TryLockError::Error(error)) => return Err(failed("lock", path, &error)),
            }
        }
        Err(StoreError::Locked(unknown()))
    }

    fn sign(&self, holder: &Holder) -> Result<(), StoreError> {
        let text = serde_json::to_vec(holder).expect("a holder is JSON");
        self.file
            .set_len(0)
            .and_then(|()| (&self.file).rewind())
            .and_then(|()| (&self.file).write_all(&text))
            .map_err(|error| failed("write", &self.path, &error))
    }
}

impl Lease for FileLease {
    fn is_held(&self) -> bool {
        let identity = |file: std::fs::Metadata| (file.dev(), file.ino());
        let held = self.file.metadata().map(identity);
        let named = std::fs::metadata(&self.path).map(identity);
        matches!((held, named), (Ok(held), Ok(named)) if held == named)
    }
}

impl Drop for FileLease {
    fn drop(&mut self) {
        // Closing the file gives the lock back; a name left in it would only be stale.
        let _ = self.file.set_len(0);
    }
}

/// Who holds the lock, if anybody does.
pub(crate) fn holder(path: &Path) -> Result<Option<Holder>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&file).unwrap_or_else(unknown))),
        Err(TryLockError::Error(error)) => Err(failed("lock", path, &error)),
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed("open", path, &error))
}

fn read_holder(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn unknown() -> Holder {
    Holder {
        process: 0,
        host: "this machine".to_owned(),
        command: "another run".to_owned(),
        since_ms: 0,
    }
}
