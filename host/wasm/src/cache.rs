//! What was worked out about a component once: its compiled code and its manifest.
//!
//! Compiled code is native code, so nothing is believed that this user did not write: every entry carries a code made
//! with a key that lies beside it, readable by its owner only, over the entry's name and content. Whatever does not
//! fit, belongs to another user or could be written by one is as if it were not there. Trouble with the cache is never an error; it costs time.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const KEY: &str = "key";
const TAG: usize = 32;

/// A directory of authenticated entries.
pub(crate) struct Cache {
    directory: PathBuf,
    key: [u8; TAG],
}

impl Cache {
    /// Opens the cache of a directory, made when it is missing. Fails when somebody else could write there.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let metadata = fs::metadata(directory)?;
        if !is_ours(&metadata, 0) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        }
        let key = read_key(directory).or_else(|_| make_key(directory))?;
        Ok(Self { directory: directory.to_owned(), key })
    }

    /// The entry of that name, when it is there and this user wrote it.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut file = File::open(self.directory.join(name)).ok()?;
        if !is_ours(&file.metadata().ok()?, 0o022) {
            return None;
        }
        let mut entry = Vec::new();
        file.read_to_end(&mut entry).ok()?;
        let content = entry.split_off_checked(TAG)?;
        self.code(name, &content).verify_slice(&entry).ok()?;
        Some(content)
    }

    /// Keeps an entry.
    pub(crate) fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let tag = self.code(name, content).finalize().into_bytes();
        let temporary = write_temporary(&self.directory, &[&tag, content])?;
        fs::rename(&temporary, self.directory.join(name))
    }

    /// Keeps an entry and lets go of the others whose names begin like it: what an older `ss` worked out.
    pub(crate) fn put_instead(&self, prefix: &str, name: &str, content: &[u8]) -> io::Result<()> {
        self.put(name, content)?;
        for entry in fs::read_dir(&self.directory)?.flatten() {
            let found = entry.file_name();
            if found.to_str().is_some_and(|found| found.starts_with(prefix) && found != name) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn code(&self, name: &str, content: &[u8]) -> Hmac<Sha256> {
        let mut code = Hmac::<Sha256>::new_from_slice(&self.key).expect("any key length will do");
        code.update(&(name.len() as u64).to_le_bytes());
        code.update(name.as_bytes());
        code.update(content);
        code
    }
}

/// `Vec::split_off` that does not panic.
trait SplitOffChecked: Sized {
    fn split_off_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitOffChecked for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Self> {
        (self.len() >= at).then(|| self.split_off(at))
    }
}

/// Whether a file belongs to this user and grants others none of these rights.
fn is_ours(metadata: &Metadata, rights: u32) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & rights == 0
}

fn read_key(directory: &Path) -> io::Result<[u8; TAG]> {
    let mut file = File::open(directory.join(KEY))?;
    let metadata = file.metadata()?;
    if !is_ours(&metadata, 0o077) || metadata.len() != TAG as u64 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut key = [0; TAG];
    file.read_exact(&mut key)?;
    Ok(key)
}

/// Makes a key and puts it in place, unless another process was quicker: then that one's key counts.
fn make_key(directory: &Path) -> io::Result<[u8; TAG]> {
    let mut key = [0; TAG];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let place = directory.join(KEY);
    let temporary = write_temporary(directory, &[&key])?;
    if read_key(directory).is_err() && place.exists() {
        fs::remove_file(&place)?;
    }
    let linked = fs::hard_link(&temporary, &place);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_key(directory),
    }
}

fn write_temporary(directory: &Path, parts: &[&[u8]]) -> io::Result<PathBuf> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let path = directory.join(format!(".new-{:016x}", u64::from_le_bytes(suffix)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    for part in parts {
        file.write_all(part)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::open(&directory.path().join("aot")).expect("opens");
        (directory, cache)
    }

    #[test]
    fn what_was_put_is_got_by_this_name_only() {
        let (_directory, cache) = cache();
        cache.put("a", b"content").expect("writes");
        assert_eq!(cache.get("a").as_deref(), Some(&b"content"[..]));
        assert_eq!(cache.get("b"), None);
        fs::copy(cache.directory.join("a"), cache.directory.join("b")).expect("copies");
        assert_eq!(cache.get("b"), None, "an entry moved to another name is not believed");
    }

    #[test]
    fn a_newer_entry_takes_the_place_of_older_ones() {
        let (_directory, cache) = cache();
        for (name, content) in [("a-1", b"old"), ("b-1", b"two")] {
            cache.put(name, content).expect("writes");
        }
        cache.put_instead("a-", "a-2", b"new").expect("writes");
        assert_eq!(cache.get("a-1"), None);
        assert!(cache.get("a-2").is_some() && cache.get("b-1").is_some());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (_directory, cache) = cache();
        cache.put("a", b"content").expect("writes");
        let path = cache.directory.join("a");
        let good = fs::read(&path).expect("reads");
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            fs::write(&path, &bad).expect("writes");
            assert_eq!(cache.get("a"), None, "byte {index}");
        }
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).expect("writes");
            assert_eq!(cache.get("a"), None, "cut to {length}");
        }
    }

    #[test]
    fn the_next_process_finds_it_and_nobody_else_may_read_the_key() {
        let (_directory, cache) = cache();
        cache.put("a", b"content").expect("writes");
        let again = Cache::open(&cache.directory).expect("opens again");
        assert!(again.get("a").is_some());
        let mode = |path: &Path| fs::metadata(path).expect("exists").mode() & 0o777;
        assert_eq!(mode(&cache.directory), 0o700);
        assert_eq!(mode(&cache.directory.join(KEY)), 0o600);
        assert_eq!(mode(&cache.directory.join("a")), 0o600);
        let left = fs::read_dir(&cache.directory).expect("lists").count();
        assert_eq!(left, 2, "no temporary file is left");
    }

    #[test]
    fn what_others_can_write_is_not_believed() {
        let (_directory, cache) = cache();
        cache.put("a", b"content").expect("writes");
        let path = cache.directory.join("a");
        for (mode, is_believed) in [(0o644, true), (0o620, false), (0o602, false), (0o600, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changes");
            assert_eq!(cache.get("a").is_some(), is_believed, "{mode:o}");
        }
    }

    #[test]
    fn what_belongs_to_another_user_is_not_believed() {
        const ANOTHER: u32 = 65_534;
        let (_directory, cache) = cache();
        cache.put("a", b"content").expect("writes");
        let give = |path: &Path| std::os::unix::fs::chown(path, Some(ANOTHER), None);
        if give(&cache.directory.join("a")).is_err() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        assert_eq!(cache.get("a"), None, "another's entry");
        cache.put("b", b"content").expect("writes");
        give(&cache.directory.join(KEY)).expect("root");
        let again = Cache::open(&cache.directory).expect("opens again");
        assert!(again.key != cache.key && again.get("b").is_none(), "another's key");
        give(&cache.directory).expect("root");
        assert!(Cache::open(&cache.directory).is_err(), "another's directory");
    }

    #[test]
    fn a_key_that_others_could_have_read_is_replaced() {
        let (_directory, cache) = cache();
        cache.put("a", b"content").expect("writes");
        let key = cache.directory.join(KEY);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("changes");
        let again = Cache::open(&cache.directory).expect("opens again");
        assert!(again.key != cache.key && again.get("a").is_none());
        fs::write(&key, b"short").expect("writes");
        assert!(Cache::open(&cache.directory).expect("opens again").get("a").is_none());
    }
}
