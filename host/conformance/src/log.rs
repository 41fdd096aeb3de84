//! What a provisioner did, as it saw it: no secret is in it, because none ever reached the provisioner.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines that are kept of one trial.
const LINES_MAX: usize = 400;

/// The lines of the present trial, and the operations of all trials.
#[derive(Debug, Default)]
pub struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<String>,
    used: BTreeSet<String>,
}

impl Log {
    /// Adds a line.
    pub fn line(&self, line: String) {
        let mut kept = self.kept();
        if kept.lines.len() < LINES_MAX {
            kept.lines.push(line);
        }
    }

    /// Notes that an operation was asked for.
    pub fn used(&self, operation: &str) {
        self.kept().used.insert(operation.to_owned());
    }

    /// Forgets the lines.
    pub fn clear(&self) {
        self.kept().lines.clear();
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.kept().lines.clone()
    }

    /// The operations so far.
    pub fn operations(&self) -> BTreeSet<String> {
        self.kept().used.clone()
    }

    /// Nothing here panics while it holds the lock, so a poisoned one is still whole.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
