//! The sandbox's folder: one running sandbox at a time, and how others find it.
//!
//! The lock is the kernel's, so a killed sandbox never leaves one behind; `running.json` says
//! where the holder listens. Sandbox time is kept here too, so that it survives a restart.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::clock::{self, Clock};
use crate::persist::replace_file;

/// A running sandbox, as `running.json` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub addr: SocketAddr,
    /// The version of this crate it was built from.
    pub version: String,
}

/// The held folder; dropping it lets the next sandbox in.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Time {
    /// How far sandbox time was ahead of the machine's.
    ahead_ms: i64,
}

impl Folder {
    /// Makes the folder (0700) if needed and locks it; `None` when another sandbox holds it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        private_folder(path)?;
        let path = path.canonicalize()?;
        let lock = lock_file(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells others where we listen.
    pub(crate) fn announce(&self, addr: SocketAddr) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let running = Running { pid: std::process::id(), addr, version };
        let text = serde_json::to_vec(&running).map_err(io::Error::other)?;
        replace_file(&self.path.join("running.json"), &text)
    }

    /// A clock that goes on where the last sandbox of this folder left off.
    pub(crate) fn clock(&self, speed: f64) -> io::Result<Clock> {
        let time = match fs::read(self.path.join("clock.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Time::default(),
            Err(error) => return Err(error),
        };
        Ok(Clock::scaled(clock::wall_ms().saturating_add(time.ahead_ms), speed))
    }
}

/// Remembers in `path` how far `clock` is ahead.
pub(crate) fn keep_time(path: &Path, clock: &Clock) -> io::Result<()> {
    static WRITING: Mutex<()> = Mutex::new(());
    let _alone = WRITING.lock();
    let ahead_ms = clock.now_ms().saturating_sub(clock::wall_ms());
    let text = serde_json::to_vec(&Time { ahead_ms }).map_err(io::Error::other)?;
    replace_file(&path.join("clock.json"), &text)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Both are courtesies: the kernel frees the lock anyway, and readers check it first.
        let _ = fs::remove_file(self.path.join("running.json"));
        let _ = self.lock.unlock();
    }
}

/// The sandbox that runs on `dir`, if one does and is past its start.
///
/// # Errors
/// The folder exists but cannot be read.
pub fn running(dir: &Path) -> io::Result<Option<Running>> {
    if !is_held(dir)? {
        return Ok(None);
    }
    match fs::read(dir.join("running.json")) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        // It is still starting, or just ending.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a sandbox lives on `dir`, be it starting or ending: until it has let go, its processes may write there.
///
/// # Errors
/// The folder exists but cannot be read.
pub fn is_held(dir: &Path) -> io::Result<bool> {
    let lock = match OpenOptions::new().read(true).open(dir.join("lock")) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes `path` and its parents, for the owner alone.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path.join("lock"))
}

/// Where PostgreSQL's templates and fetched binaries are kept for all sandboxes of this user.
pub(crate) fn default_cache() -> PathBuf {
    let under = |name: &str, rest: &str| {
        std::env::var_os(name).filter(|it| !it.is_empty()).map(|it| PathBuf::from(it).join(rest))
    };
    under("XDG_CACHE_HOME", "ss/postgres")
        .or_else(|| under("HOME", ".cache/ss/postgres"))
        .unwrap_or_else(|| std::env::temp_dir().join("ss-postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_findable() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        assert_eq!(running(&dir).unwrap(), None);
        let folder = Folder::take(&dir).unwrap().unwrap();
        assert!(Folder::take(&dir).unwrap().is_none());
        folder.announce("127.0.0.1:4400".parse().unwrap()).unwrap();
        assert_eq!(running(&dir).unwrap().map(|it| it.pid), Some(std::process::id()));
        drop(folder);
        assert_eq!(running(&dir).unwrap(), None);
        assert!(Folder::take(&dir).unwrap().is_some());
    }

    #[test]
    fn time_goes_on_after_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::take(home.path()).unwrap().unwrap();
        let clock = folder.clock(0.0).unwrap();
        clock.advance(3_600_000);
        keep_time(folder.path(), &clock).unwrap();
        assert!(folder.clock(1.0).unwrap().now_ms() >= clock.now_ms());
    }
}
