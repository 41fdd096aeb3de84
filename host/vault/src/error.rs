//! The sentences of this room's errors: which file, what is wrong with it, and what to do.
//!
//! Never a value, and never a parser's own words: those quote what they read.

use std::fmt::Display;
use std::io;
use std::path::Path;

use ss_ports::VaultError;

use crate::files::previous;

/// The file, or its folder, cannot be read.
pub(crate) fn unreadable(path: &Path, cause: &io::Error) -> VaultError {
    VaultError::Unreadable(format!("`{}` cannot be read: {cause}", path.display()))
}

/// The file, or its folder, cannot be written.
pub(crate) fn unwritable(path: &Path, cause: impl Display) -> VaultError {
    VaultError::Unwritable(format!(
        "`{}` cannot be written: {cause}; what it held before is unchanged",
        path.display()
    ))
}

/// The file is there, but it is not what was written.
pub(crate) fn damaged(path: &Path) -> VaultError {
    let (path, previous) = (path.display(), previous(path));
    let way_out = if previous.exists() {
        format!(
            "the version before it is kept: go back to it with `mv '{}' '{path}'`",
            previous.display()
        )
    } else {
        "restore it from a backup, or remove it and set its values again".to_owned()
    };
    VaultError::Unreadable(format!("`{path}` is damaged and was left as it is; {way_out}"))
}

/// The file is whole, but none of our identities opens it.
pub(crate) fn foreign(path: &Path, identity: &str) -> VaultError {
    VaultError::Unreadable(format!(
        "`{}` is encrypted to another identity than {identity}; use the identity it was written with",
        path.display()
    ))
}

/// The file was written by a version of `ss` that knows more.
pub(crate) fn too_new(path: &Path) -> VaultError {
    VaultError::Unreadable(format!(
        "`{}` was written by a newer version of ss; update ss to read it",
        path.display()
    ))
}
