//! The overlay's file: read, and rewritten around its `_state` block while it stays the user's.

use std::fs::{self, Permissions};
use std::path::{Path, PathBuf};

use ss_core::overlay::{self, OverlayError};
use ss_core::state::State;
use ss_ports::StoreError;

use crate::files::{self, Beside, failed};

/// How often to begin again when the user saves the file at the same moment.
const ATTEMPTS: u32 = 5;

/// The state in the overlay; `None` when it has none, or when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<State>, StoreError> {
    match files::read(path)? {
        Some(bytes) => overlay::read(text(path, &bytes)?).map_err(|error| unusable(path, &error)),
        None => Ok(None),
    }
}

/// Says before a run begins what would keep it from being recorded in the overlay at its end.
pub(crate) fn check_writable(path: &Path) -> Result<(), StoreError> {
    files::try_beside(&real(path)?).and_then(|()| permissions(path).map(drop))
}

/// Puts another text in the overlay's place; the `_state` that is in the file stays.
pub fn replace(path: &Path, text: &str) -> Result<(), StoreError> {
    let path = &fs::canonicalize(path).map_err(|error| failed("find", path, &error))?;
    let permissions =
        fs::metadata(path).map_err(|error| failed("read", path, &error))?.permissions();
    let state = read(path)?;
    let after = overlay::splice(text, state.as_ref()).map_err(|error| unusable(path, &error))?;
    Beside::write(path, after.as_bytes(), Some(permissions))?.put()
}

/// Writes the state into the overlay as it is at this moment: its permissions stay, a link stays a link.
pub(crate) fn write(path: &Path, state: &State) -> Result<(), StoreError> {
    let path = &real(path)?;
    for _ in 0..ATTEMPTS {
        let permissions = permissions(path)?;
        let before = files::read(path)?.unwrap_or_default();
        let after = overlay::splice(text(path, &before)?, Some(state))
            .map_err(|error| unusable(path, &error))?;
        if after.as_bytes() == before {
            return Ok(());
        }
        let beside = Beside::write(path, after.as_bytes(), Some(permissions))?;
        // What the user saved since the file was read must not be lost.
        if files::read(path)?.as_ref() == Some(&before) {
            return beside.put();
        }
    }
    Err(StoreError::Io(format!("cannot write {}: it keeps changing", path.display())))
}

/// Where the file is when a link names it.
fn real(path: &Path) -> Result<PathBuf, StoreError> {
    fs::canonicalize(path).map_err(|error| failed("find", path, &error))
}

/// The file's permissions, which must let it be written.
fn permissions(path: &Path) -> Result<Permissions, StoreError> {
    let permissions =
        fs::metadata(path).map_err(|error| failed("read", path, &error))?.permissions();
    if permissions.readonly() {
        return Err(StoreError::Io(format!("cannot write {}: it is read-only", path.display())));
    }
    Ok(permissions)
}

fn text<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, StoreError> {
    std::str::from_utf8(bytes)
        .map_err(|_| StoreError::Damaged(format!("{}: it is not UTF-8 text", path.display())))
}

fn unusable(path: &Path, error: &OverlayError) -> StoreError {
    StoreError::Damaged(format!("{}: {error}", path.display()))
}
