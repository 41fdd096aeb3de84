//! What machines print: the newest lines in memory and, so that they outlive the sandbox, in files.
//!
//! Promises ids that only grow, bounded memory, bounded files and bounded lines. Absent: durability
//! to the last line; a log is not a journal, and a full disk costs lines, not the machine.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::clock::Clock;

const LINES_MAX: usize = 1_000;
const FILE_BYTES_MAX: u64 = 4 << 20;
const LINE_BYTES_MAX: usize = 8 << 10;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Nanoseconds of unix time, made unique.
    pub id: i64,
    /// `info` for standard output, `error` for standard error.
    pub level: String,
    /// Who speaks: `app` or `runner`.
    pub source: String,
    /// The text without its line end.
    pub message: String,
}

/// The logs of all machines of one sandbox.
#[derive(Clone, Debug)]
pub struct Logs {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    last_id: i64,
    machines: HashMap<String, Tail>,
}

#[derive(Debug)]
struct Tail {
    lines: VecDeque<Line>,
    file: Option<File>,
    bytes: u64,
}

impl Logs {
    /// Keeps the logs in `dir`, which is made when it is absent.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(dir: PathBuf, clock: Clock) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let inner = Inner { dir, last_id: 0, machines: HashMap::new() };
        Ok(Self { inner: Arc::new(Mutex::new(inner)), clock })
    }

    /// Adds one line to `machine`'s log.
    pub fn append(&self, machine: &str, source: &str, level: &str, message: &str) {
        let now_ns = self.clock.now_ms().saturating_mul(1_000_000);
        let mut inner = self.lock();
        inner.last_id = now_ns.max(inner.last_id + 1);
        let id = inner.last_id;
        let (level, source) = (level.to_owned(), source.to_owned());
        let message = message.chars().take(LINE_BYTES_MAX).collect();
        let tail = inner.tail(machine);
        tail.push(Line { id, level, source, message });
        if tail.bytes > FILE_BYTES_MAX {
            inner.rewrite(machine);
        }
    }

    /// The kept lines of `machine` that are newer than `after`, oldest first.
    #[must_use]
    pub fn read(&self, machine: &str, after: i64) -> Vec<Line> {
        let mut inner = self.lock();
        let lines = &inner.tail(machine).lines;
        lines.iter().filter(|line| line.id > after).cloned().collect()
    }

    /// Drops `machine`'s log from memory and disk.
    pub fn forget(&self, machine: &str) {
        let mut inner = self.lock();
        inner.machines.remove(machine);
        // A file that cannot be removed is only a file too many.
        let _ = fs::remove_file(inner.path(machine));
    }

    /// Copies everything `output` gives into the log, until it ends.
    pub async fn copy(
        self,
        machine: String,
        level: &'static str,
        mut output: impl AsyncRead + Unpin,
    ) {
        let mut pending: Vec<u8> = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = output.read(&mut chunk).await {
            pending.extend_from_slice(&chunk[..read]);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                self.append(&machine, "app", level, String::from_utf8_lossy(&line).trim_end());
            }
            if pending.len() > LINE_BYTES_MAX {
                self.append(&machine, "app", level, &String::from_utf8_lossy(&pending));
                pending.clear();
            }
        }
        if !pending.is_empty() {
            self.append(&machine, "app", level, &String::from_utf8_lossy(&pending));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tail(&mut self, machine: &str) -> &mut Tail {
        let path = self.path(machine);
        self.machines.entry(machine.to_owned()).or_insert_with(|| Tail::load(&path))
    }

    fn path(&self, machine: &str) -> PathBuf {
        self.dir.join(format!("{machine}.log"))
    }

    /// Shrinks the file to the lines that are still kept.
    fn rewrite(&mut self, machine: &str) {
        let path = self.path(machine);
        let Some(tail) = self.machines.get_mut(machine) else { return };
        let text: String = tail.lines.iter().map(encode).collect();
        let beside = path.with_extension("new");
        if fs::write(&beside, &text).and_then(|()| fs::rename(&beside, &path)).is_ok() {
            tail.file = append_to(&path);
            tail.bytes = text.len() as u64;
        }
    }
}

impl Tail {
    fn load(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines: VecDeque<Line> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.drain(..lines.len().saturating_sub(LINES_MAX));
        Self { lines, file: append_to(path), bytes: text.len() as u64 }
    }

    fn push(&mut self, line: Line) {
        let text = encode(&line);
        if let Some(file) = &mut self.file
            && file.write_all(text.as_bytes()).is_ok()
        {
            self.bytes += text.len() as u64;
        }
        self.lines.push_back(line);
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }
}

fn append_to(path: &Path) -> Option<File> {
    OpenOptions::new().create(true).append(true).open(path).ok()
}

fn encode(line: &Line) -> String {
    serde_json::to_string(line).map(|text| text + "\n").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_lines_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Logs::open(folder.path().to_owned(), Clock::scaled(5, 0.0)).unwrap();
        let logs = open();
        for number in 0..1_200 {
            logs.append("m", "app", "info", &number.to_string());
        }
        let lines = open().read("m", 0);
        assert_eq!(lines.len(), 1_000);
        assert_eq!(lines[999].message, "1199");
        assert!(lines.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(open().read("m", lines[997].id).len(), 2);
    }

    #[tokio::test]
    async fn splits_output_into_lines_and_bounds_them() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path().to_owned(), Clock::real()).unwrap();
        let output = format!("one\ntwo\r\n{}", "x".repeat(20_000));
        logs.clone().copy("m".to_owned(), "info", output.as_bytes()).await;
        let lines = logs.read("m", 0);
        assert_eq!(lines[0].message, "one");
        assert_eq!(lines[1].message, "two");
        assert!(lines.iter().all(|line| line.message.len() <= 2 * LINE_BYTES_MAX));
    }
}
