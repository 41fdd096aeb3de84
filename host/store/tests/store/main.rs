//! The store on a real disk: every promise of the port, and what only a disk can do wrong.

mod suite;

use std::path::PathBuf;
use std::sync::Arc;

use ss_store::LocalStore;
use ss_testkit::MemoryVault;
use tempfile::TempDir;

/// A directory with a store and an overlay in it, gone at the end of the test.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn with_overlay(text: &str) -> Self {
        let place = Self::new();
        std::fs::write(place.overlay(), text).unwrap();
        place
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("systems/my-app/prod")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn overlay(&self) -> PathBuf {
        self.root.path().join("starsystem.prod.yaml")
    }

    fn overlay_text(&self) -> String {
        std::fs::read_to_string(self.overlay()).unwrap()
    }

    /// The store as a new process would open it.
    fn store(&self) -> LocalStore {
        let overlay = self.overlay();
        let overlay = overlay.exists().then_some(overlay);
        LocalStore::open(self.directory(), overlay, Arc::new(MemoryVault::default()))
    }
}
