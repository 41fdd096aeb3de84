//! The store on a real disk: every promise of the port, and what only a disk can do wrong.

mod concurrent;
mod files;
mod full;
mod lock;
mod overlay;
mod promise;
mod remote;
mod runs;
mod spoiled;
mod suite;
mod tape;

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use ss_store::LocalStore;
use ss_testkit::MemoryVault;
use tempfile::TempDir;

/// Names the directory to a test that runs as a second process.
const CHILD: &str = "SS_TEST_CHILD_OF";

/// A directory with a store and an overlay in it, gone at the end of the test.
struct Place {
    path: PathBuf,
    _root: Option<TempDir>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { path: root.path().to_owned(), _root: Some(root) }
    }

    fn with_overlay(text: &str) -> Self {
        let place = Self::new();
        std::fs::write(place.overlay(), text).unwrap();
        place
    }

    /// The place of the test that started this process; `None` when this is no second process.
    fn of_parent() -> Option<Self> {
        std::env::var_os(CHILD).map(|path| Self { path: path.into(), _root: None })
    }

    fn directory(&self) -> PathBuf {
        self.path.join("systems/my-app/prod")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn overlay(&self) -> PathBuf {
        self.path.join("starsystem.prod.yaml")
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

    /// Runs one of these tests in a second process.
    fn run(&self, test: &str) -> SecondProcess {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]);
        SecondProcess::start(self, command)
    }
}

/// A second process that works on a test's place; killed at the end of the test at the latest.
struct SecondProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl SecondProcess {
    fn start(place: &Place, mut command: Command) -> Self {
        command.env(CHILD, &place.path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for a line that begins with this, and gives the rest of it.
    fn says(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.next().expect("the second process ended").unwrap();
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// The last line that begins with this, once it has ended.
    fn said_last(&mut self, start: &str) -> Option<String> {
        let lines = self.lines.by_ref().map_while(Result::ok);
        let last = lines.filter_map(|line| line.strip_prefix(start).map(str::to_owned)).last();
        self.child.wait().unwrap();
        last
    }

    /// Ends it as `kill -9` does.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for SecondProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
