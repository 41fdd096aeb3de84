//! `sandbox.log`: one line per request and per thing that happened, for a person to read.
//!
//! Bounded: past 4 MiB the file becomes `sandbox.log.1`. Never a secret: only methods, paths,
//! statuses and our own sentences. A log that cannot be written never fails a request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock;

const BYTES_MAX: u64 = 4 << 20;

/// The sandbox's own log; clones write to the same file.
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens `path` for appending.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { inner: Arc::new(Mutex::new(Inner { path, file, bytes })) })
    }

    /// Writes one line, with the machine's time before it; control characters become spaces.
    pub fn line(&self, text: &str) {
        let clean: String =
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2_000).collect();
        let line = format!("{} {clean}\n", clock::rfc3339(clock::wall_ms()));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // The log is a courtesy: a full disk must not turn an answered request into an error.
        let _ = inner.append(line.as_bytes());
    }
}

impl Inner {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > BYTES_MAX {
            let mut older = self.path.as_os_str().to_owned();
            older.push(".1");
            std::fs::rename(&self.path, older)?;
            self.file = OpenOptions::new().append(true).create(true).open(&self.path)?;
            self.bytes = 0;
        }
        self.file.write_all(line)?;
        self.bytes += u64::try_from(line.len()).unwrap_or(0);
        Ok(())
    }
}
