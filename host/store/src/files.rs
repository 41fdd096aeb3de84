//! Files written whole or not at all, for this user's eyes only, and errors in words.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use ss_ports::StoreError;

/// `cannot <operation> <path>: <reason>`.
pub(crate) fn failed(operation: &str, path: &Path, error: &io::Error) -> StoreError {
    let reason = match error.kind() {
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        ErrorKind::AlreadyExists => "something else has its name".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is not a directory".to_owned(),
        _ => error.to_string(),
    };
    StoreError::Io(format!("cannot {operation} {}: {reason}", path.display()))
}

/// The file's bytes; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Reads a JSON document; `None` when there is no file.
pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Path,
    remedy: &str,
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        StoreError::Damaged(format!(
            "{} is damaged ({error}); nothing was changed. {remedy}",
            path.display()
        ))
    })
}

/// Writes a JSON document whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec(value)
        .map_err(|error| StoreError::Io(format!("cannot write {}: {error}", path.display())))?;
    text.push(b'\n');
    write(path, &text, None)
}

/// Replaces a file whole or not at all; durable when it returns. Without other permissions it is 0600.
pub(crate) fn write(
    path: &Path,
    bytes: &[u8],
    permissions: Option<Permissions>,
) -> Result<(), StoreError> {
    Beside::write(path, bytes, permissions)?.put()
}

/// A file that is complete and durable, but not yet in its place.
pub(crate) struct Beside<'p> {
    place: &'p Path,
    path: PathBuf,
}

impl<'p> Beside<'p> {
    pub(crate) fn write(
        place: &'p Path,
        bytes: &[u8],
        permissions: Option<Permissions>,
    ) -> Result<Self, StoreError> {
        let beside = Self { place, path: temporary(place) };
        beside.fill(bytes, permissions).map_err(|error| failed("write", place, &error))?;
        Ok(beside)
    }

    fn fill(&self, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
        // Left by a run that was killed.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
        file.write_all(bytes)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()
    }

    /// Puts it in its place.
    pub(crate) fn put(self) -> Result<(), StoreError> {
        fs::rename(&self.path, self.place)
            .map_err(|error| failed("replace", self.place, &error))?;
        sync_parent(self.place)
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // Gone already when it was put; otherwise the next write removes what cannot be removed now.
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives a file the name `<name>.moved`; one that is not there needs none.
pub(crate) fn set_aside(path: &Path) -> Result<(), StoreError> {
    let mut name = path.file_name().expect("a path of a file").to_owned();
    name.push(".moved");
    match fs::rename(path, path.with_file_name(name)) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("set aside", path, &error)),
    }
}

/// Whether a file could be replaced: makes what would be put in its place, empty, and removes it.
pub(crate) fn try_beside(place: &Path) -> Result<(), StoreError> {
    let path = temporary(place);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|_| fs::remove_file(&path))
        .map_err(|error| failed("write", place, &error))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().expect("a path of a file"));
    name.push(".ss-new");
    path.with_file_name(name)
}

/// Makes a directory and those above it, durable when it returns.
pub(crate) fn create_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(failed("create", path, &error)),
    }
}

/// Makes the names in the directory of this path durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed("sync", parent, &error))
}
