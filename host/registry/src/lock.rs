//! `starsystem.lock`: which plugins exactly, and what each was allowed.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ss_core::ident::PluginName;
use tempfile::Builder;

use crate::grant::Rights;

/// The lock file's name, beside `starsystem.yaml`.
pub const FILE_NAME: &str = "starsystem.lock";
const VERSION: u32 = 1;

/// Why the lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is not a lock file.
    #[error("{} is damaged ({reason}): put it back from version control, or remove it and grant again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer `ss` wrote it.
    #[error("{} has version {found}, and this `ss` knows {VERSION}: use a newer `ss`", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// It cannot be read or written; what was there stays.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Io {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// One plugin in the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its name in the system.
    pub name: PluginName,
    /// Where it was found.
    pub reference: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// Its version, from the manifest.
    pub version: String,
    /// What the user allowed it.
    pub granted: Rights,
}

/// The lock, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    plugins: Vec<Locked>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<P> {
    version: u32,
    plugins: P,
}

/// Whether the lock knows a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin<'l> {
    /// It knows no plugin of that name.
    New,
    /// It knows exactly this one.
    Pinned(&'l Locked),
    /// It knows another one of that name.
    Changed(&'l Locked),
}

impl Lock {
    /// Reads a lock file; an absent one is an empty lock.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(LockError::Io { operation: "read", path: path.to_owned(), source });
            }
        };
        let damaged = |reason: String| LockError::Damaged { path: path.to_owned(), reason };
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if let Some(found) = value.get("version").and_then(serde_json::Value::as_u64)
            && found > u64::from(VERSION)
        {
            return Err(LockError::Newer { path: path.to_owned(), found });
        }
        let document: Document<Vec<Locked>> = serde_json::from_value(value)
            .map_err(|error| damaged(ss_core::text::printable(&error.to_string(), 200)))?;
        let mut names = BTreeSet::new();
        match document.plugins.iter().find(|plugin| !names.insert(&plugin.name)) {
            Some(twice) => Err(damaged(format!("`{}` stands in it twice", twice.name))),
            None => Ok(Self { plugins: document.plugins }),
        }
    }

    /// Writes the lock file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        self.write(path).map_err(|source| LockError::Io {
            operation: "write",
            path: path.to_owned(),
            source,
        })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let document = Document { version: VERSION, plugins: &self.plugins };
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        // A link stays a link.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let permissions = match fs::metadata(path) {
            Ok(file) => file.permissions(),
            Err(_) => Permissions::from_mode(0o666),
        };
        let mut file = Builder::new()
            .prefix(".starsystem.lock.")
            .permissions(permissions)
            .tempfile_in(directory)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(directory)?.sync_all()
    }

    /// All plugins, in the order of the file.
    pub fn plugins(&self) -> &[Locked] {
        &self.plugins
    }

    /// The plugin of this name.
    pub fn get(&self, name: &PluginName) -> Option<&Locked> {
        self.plugins.iter().find(|plugin| plugin.name == *name)
    }

    /// Whether this component is the one that the lock knows.
    pub fn check(&self, name: &PluginName, digest: &str) -> Pin<'_> {
        match self.get(name) {
            None => Pin::New,
            Some(plugin) if plugin.digest == digest => Pin::Pinned(plugin),
            Some(plugin) => Pin::Changed(plugin),
        }
    }

    /// Puts a plugin in the place of the one of that name, or at the end.
    pub fn put(&mut self, plugin: Locked) {
        match self.plugins.iter_mut().find(|other| other.name == plugin.name) {
            Some(place) => *place = plugin,
            None => self.plugins.push(plugin),
        }
    }

    /// Forgets a plugin.
    pub fn remove(&mut self, name: &PluginName) -> Option<Locked> {
        let at = self.plugins.iter().position(|plugin| plugin.name == *name)?;
        Some(self.plugins.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str, digest: &str) -> Locked {
        Locked {
            name: PluginName::new(name).unwrap(),
            reference: format!("./{name}.wasm"),
            digest: digest.to_owned(),
            version: "0.1.0".to_owned(),
            granted: ["demo-api: GET /things", "demo-api: POST /things (create)"]
                .into_iter()
                .collect(),
        }
    }

    fn sample() -> Lock {
        let mut lock = Lock::default();
        for name in ["zeta", "alpha", "mid"] {
            lock.put(locked(name, "sha256:aa"));
        }
        lock
    }

    #[test]
    fn keeps_its_order_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        assert_eq!(Lock::load(&path).unwrap(), Lock::default());
        let mut lock = sample();
        lock.save(&path).unwrap();
        assert_eq!(Lock::load(&path).unwrap(), lock);
        lock.put(locked("alpha", "sha256:bb"));
        lock.save(&path).unwrap();
        let loaded = Lock::load(&path).unwrap();
        let names: Vec<&str> = loaded.plugins().iter().map(|plugin| plugin.name.as_str()).collect();
        assert_eq!(names, ["zeta", "alpha", "mid"]);
        assert_eq!(loaded.plugins()[1].digest, "sha256:bb");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn the_file_reads_well() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let mut lock = Lock::default();
        lock.put(locked("demo", "sha256:aa"));
        lock.save(&path).unwrap();
        let expected = r#"{
  "version": 1,
  "plugins": [
    {
      "name": "demo",
      "reference": "./demo.wasm",
      "digest": "sha256:aa",
      "version": "0.1.0",
      "granted": [
        "demo-api: GET /things",
        "demo-api: POST /things (create)"
      ]
    }
  ]
}
"#;
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn tells_new_pinned_and_changed_apart() {
        let mut lock = sample();
        let alpha = PluginName::new("alpha").unwrap();
        assert!(matches!(lock.check(&alpha, "sha256:aa"), Pin::Pinned(_)));
        assert!(
            matches!(lock.check(&alpha, "sha256:bb"), Pin::Changed(plugin) if plugin.digest == "sha256:aa")
        );
        assert!(lock.remove(&alpha).is_some());
        assert_eq!(lock.check(&alpha, "sha256:aa"), Pin::New);
    }

    #[test]
    fn a_link_and_the_permissions_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join(FILE_NAME));
        fs::write(&real, "{\"version\": 1, \"plugins\": []}").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        sample().save(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(Lock::load(&real).unwrap(), sample());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_bad_file_is_named_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        sample().save(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let loaded = |text: &str| {
            fs::write(&path, text).unwrap();
            Lock::load(&path)
        };
        for text in [
            "",
            "{",
            "[]",
            "<<<<<<< HEAD",
            "{\"version\": 1}",
            &good.replace("\"reference\"", "\"novelty\": 1, \"reference\""),
            &good.replace("zeta", "alpha"),
            &good.replace("zeta", "Zeta"),
        ] {
            let damaged = loaded(text);
            assert!(matches!(&damaged, Err(LockError::Damaged { .. })), "{text}: {damaged:?}");
        }
        let newer = loaded("{\"version\": 2, \"new\": true}");
        assert!(matches!(newer, Err(LockError::Newer { found: 2, .. })));
        assert!(matches!(Lock::load(directory.path()), Err(LockError::Io { .. })));
        let missing = directory.path().join("absent").join(FILE_NAME);
        assert!(matches!(sample().save(&missing), Err(LockError::Io { .. })));
    }
}
