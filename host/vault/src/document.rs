//! One encrypted file: decrypted once per run for reading, changed only under the lock.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use ss_ports::VaultError;

use crate::error::{damaged, foreign, too_new, unreadable, unwritable};
use crate::files;
use crate::format::{self, NotUnderstood};
use crate::home::Keeper;
use crate::seal::{self, NotOpened};

/// A file and what it held when this run last looked.
#[derive(Debug)]
pub(crate) struct Document<T> {
    path: PathBuf,
    seen: Mutex<Option<T>>,
}

impl<T: Clone + PartialEq + Default + Serialize + DeserializeOwned> Document<T> {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::new(None) }
    }

    /// Looks at the content. No lock and no writing; after the first time, no file either.
    pub(crate) fn read<R>(
        &self,
        keeper: &Keeper,
        look: impl FnOnce(&T) -> R,
    ) -> Result<R, VaultError> {
        let mut seen = self.seen();
        if seen.is_none() {
            *seen = Some(self.load(keeper)?.map(|(content, _)| content).unwrap_or_default());
        }
        Ok(look(seen.get_or_insert_default()))
    }

    /// Changes the content: durable when it returns. It starts from what is on disk now, so that no other writer's
    /// change is lost, and writes nothing when nothing changes.
    pub(crate) fn change<R>(
        &self,
        keeper: &Keeper,
        edit: impl FnOnce(&mut T) -> R,
    ) -> Result<R, VaultError> {
        let mut seen = self.seen();
        let lock = keeper.lock()?;
        let (before, sealed) = match self.load(keeper)? {
            Some((content, sealed)) => (content, Some(sealed)),
            None => (T::default(), None),
        };
        let mut after = before.clone();
        let answer = edit(&mut after);
        if after != before {
            let replacement = seal::encrypt(&keeper.recipients(&lock)?, &format::encode(&after));
            // The old content was just decrypted, so what is kept as the previous generation is known to be good.
            let previous = sealed.map(|sealed| (files::previous(&self.path), sealed));
            for (path, bytes) in previous.into_iter().chain([(self.path.clone(), replacement)]) {
                files::replace(&path, &bytes).map_err(|error| unwritable(&path, error))?;
            }
        }
        *seen = Some(after);
        Ok(answer)
    }

    /// The content and the sealed bytes it came from; `None` when there is no file.
    fn load(&self, keeper: &Keeper) -> Result<Option<(T, Vec<u8>)>, VaultError> {
        let path = &self.path;
        let Some(sealed) = files::read_if_there(path).map_err(|error| unreadable(path, &error))?
        else {
            return Ok(None);
        };
        let plain = seal::decrypt(&keeper.identities()?, &sealed).map_err(|error| match error {
            NotOpened::Foreign => foreign(path, &keeper.identity_name()),
            NotOpened::Damaged => damaged(path),
        })?;
        let content = format::decode(plain.expose()).map_err(|error| match error {
            NotUnderstood::TooNew => too_new(path),
            NotUnderstood::Damaged => damaged(path),
        })?;
        Ok(Some((content, sealed)))
    }

    fn seen(&self) -> MutexGuard<'_, Option<T>> {
        // What is behind the lock is replaced whole, so a panic elsewhere leaves it usable.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
