//! One JSON document on disk, held in memory.
//!
//! Promises that what `write` returned `Ok` for is on disk (written beside, synced, renamed, folder
//! synced), that a failed write leaves memory as it was, and that the file is for its owner alone.
//! Absent: several processes on one file; the sandbox locks its whole folder instead.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that outlives the process.
#[derive(Debug)]
pub struct Persisted<T> {
    path: PathBuf,
    held: RwLock<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    /// What the file holds, to skip writes that change nothing and to undo those that fail.
    on_disk: Vec<u8>,
}

impl<T: Serialize + DeserializeOwned + Default> Persisted<T> {
    /// Reads `path`, or starts from `T::default()` when there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a `T`; nothing is overwritten then.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let held = match fs::read(&path) {
            Ok(bytes) => Held { value: decode(&path, &bytes)?, on_disk: bytes },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let value = T::default();
                Held { on_disk: encode(&value)?, value }
            }
            Err(error) => return Err(error),
        };
        Ok(Self { path, held: RwLock::new(held) })
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner).value)
    }

    /// Changes the value; durable when it returns `Ok`.
    ///
    /// # Errors
    /// The disk refused; the value is then what it was before the call.
    pub fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> io::Result<R> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut held.value);
        let bytes = encode(&held.value)?;
        if bytes == held.on_disk {
            return Ok(answer);
        }
        if let Err(error) = replace_file(&self.path, &bytes) {
            held.value = decode(&self.path, &held.on_disk)?;
            return Err(error);
        }
        held.on_disk = bytes;
        Ok(answer)
    }
}

/// Puts `bytes` at `path` (mode 0600) so that a crash leaves either the old or the new content.
///
/// # Errors
/// Any step the file system refuses.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file =
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

fn decode<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = format!("{} is damaged: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_there_again_after_opening_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let state = Persisted::<Vec<u32>>::open(&path).unwrap();
        state.write(|list| list.push(7)).unwrap();
        assert_eq!(Persisted::<Vec<u32>>::open(&path).unwrap().read(Clone::clone), [7]);
    }

    #[test]
    fn a_refused_write_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("state.json");
        let state = Persisted::<Vec<u32>>::open(&path).unwrap();
        assert!(state.write(|list| list.push(7)).is_err());
        assert!(state.read(Vec::is_empty));
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        fs::write(&path, "[1,").unwrap();
        let error = Persisted::<Vec<u32>>::open(&path).unwrap_err().to_string();
        assert!(error.contains("state.json is damaged"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"[1,");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        Persisted::<Vec<u32>>::open(&path).unwrap().write(|list| list.push(7)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
