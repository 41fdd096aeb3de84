//! The journal's file: its lines, their checksums, and what a killed or cut-off write leaves behind.
//!
//! A line is `{"sum":"<16 hex>","entry":{…}}`, or `"entries":[…]` where several were made durable at once; the first is
//! `{"sum":"<16 hex>","journal":{…}}` and says from which state the journal goes on. The sum covers the body and the
//! sum before it, so a line that is changed, lost, moved or doubled is found. The last line may be torn: nobody was
//! told that it is durable, and it does not count.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use ss_core::value::digest_bytes;
use ss_ports::{Entry, StoreError};

use crate::files::{self, failed};

/// 2: lines with several entries.
const VERSION: u32 = 2;
const HEAD: &str = "{\"sum\":\"";
const SUM_LENGTH: usize = 16;

/// Which state a journal goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    version: u32,
    pub(crate) lineage: String,
    pub(crate) serial: u64,
}

impl Origin {
    pub(crate) fn new(lineage: &str, serial: u64) -> Self {
        Self { version: VERSION, lineage: lineage.to_owned(), serial }
    }

    /// Whether both go on from the same state, whichever `ss` wrote them.
    pub(crate) fn is_same_state(&self, other: &Self) -> bool {
        (&self.lineage, self.serial) == (&other.lineage, other.serial)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Body {
    Journal(Origin),
    Entry(Box<Entry>),
    Entries(Vec<Entry>),
}

/// A journal as it is on disk.
#[derive(Debug, PartialEq)]
pub(crate) struct Journal {
    pub(crate) origin: Origin,
    pub(crate) entries: Vec<Entry>,
    /// The bytes up to here are good.
    length: usize,
    sum: String,
}

#[cfg(test)]
impl Journal {
    /// A journal that was never on disk.
    pub(crate) fn sample(lineage: &str, serial: u64, entries: Vec<Entry>) -> Self {
        Self { origin: Origin::new(lineage, serial), entries, length: 0, sum: String::new() }
    }
}

/// Reads the journal; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Journal>, StoreError> {
    match files::read(path)? {
        Some(bytes) => parse(&bytes).map_err(|damage| damage.at(path)),
        None => Ok(None),
    }
}

/// What is wrong with a journal.
#[derive(Debug, PartialEq)]
enum Damage {
    /// The line, counted from 1, is not as it was written, and others follow it.
    Line(usize),
    /// It was written by a newer `ss`.
    Newer(u32),
}

impl Damage {
    fn at(&self, path: &Path) -> StoreError {
        let path = path.display();
        StoreError::Damaged(match self {
            Self::Line(line) => format!(
                "{path} is damaged in line {line}; nothing was changed. Put the file back from a backup. Without one, \
                 move it away: then what the interrupted run made since the last commit is not recorded, so look at \
                 the provider for resources of that run before the next deploy"
            ),
            Self::Newer(version) => format!(
                "{path} has version {version}, and this `ss` knows {VERSION}; use the newer `ss` that wrote it"
            ),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Option<Journal>, Damage> {
    let mut journal: Option<Journal> = None;
    let mut at = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let sum = journal.as_ref().map_or("", |journal| &journal.sum);
        let Some((sum, body)) = parse_line(line, sum) else {
            // The first line was written whole or not at all.
            let is_torn = journal.is_some() && at + line.len() == bytes.len();
            return if is_torn { Ok(journal) } else { Err(Damage::Line(index + 1)) };
        };
        at += line.len();
        match (body, &mut journal) {
            (Body::Journal(origin), None) if origin.version > VERSION => {
                return Err(Damage::Newer(origin.version));
            }
            (Body::Journal(origin), None) => {
                journal = Some(Journal { origin, entries: Vec::new(), length: at, sum });
            }
            (Body::Entry(entry), Some(journal)) => {
                journal.entries.push(*entry);
                (journal.length, journal.sum) = (at, sum);
            }
            (Body::Entries(entries), Some(journal)) => {
                journal.entries.extend(entries);
                (journal.length, journal.sum) = (at, sum);
            }
            _ => return Err(Damage::Line(index + 1)),
        }
    }
    Ok(journal)
}

fn parse_line(line: &[u8], sum_before: &str) -> Option<(String, Body)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("}\n")?.strip_prefix(HEAD)?;
    let (sum, body) = line.split_at_checked(SUM_LENGTH)?;
    let body = body.strip_prefix("\",")?;
    if sum != checksum(sum_before, body) {
        return None;
    }
    Some((sum.to_owned(), serde_json::from_str(&format!("{{{body}}}")).ok()?))
}

/// A line with this body, JSON without its braces, and its sum.
fn make_line(body: &str, sum_before: &str) -> (String, String) {
    let sum = checksum(sum_before, body);
    (format!("{HEAD}{sum}\",{body}}}\n"), sum)
}

/// The body of a line with these entries, each JSON.
fn body(entries: &[String]) -> String {
    match entries {
        [entry] => format!("\"entry\":{entry}"),
        _ => format!("\"entries\":[{}]", entries.join(",")),
    }
}

fn checksum(sum_before: &str, body: &str) -> String {
    let digest = digest_bytes(format!("{sum_before}{body}").as_bytes());
    let hex = digest.rsplit(':').next().unwrap_or_default();
    hex[..SUM_LENGTH].to_owned()
}

/// A journal that is open for writing.
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    pub(crate) origin: Origin,
    length: u64,
    sum: String,
    /// What is to be written next, each JSON.
    waiting: Vec<String>,
    /// How that ends.
    batch: Batch,
}

/// How the writing of some entries ended, once it has.
pub(crate) type Batch = Arc<OnceLock<Result<(), StoreError>>>;

/// Begins an empty journal, in the place of the old one.
pub(crate) fn begin(path: &Path, origin: Origin) -> Result<Journal, StoreError> {
    let head = serde_json::to_string(&origin).map_err(|error| unwritable(path, &error))?;
    let (line, sum) = make_line(&format!("\"journal\":{head}"), "");
    files::write(path, line.as_bytes(), None)?;
    Ok(Journal { origin, entries: Vec::new(), length: line.len(), sum })
}

impl Writer {
    /// Opens a journal that was read before, and cuts off a torn end.
    pub(crate) fn open(path: &Path, journal: Journal) -> Result<Self, StoreError> {
        let open = || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(journal.length as u64)?;
            Ok(file)
        };
        let file = open().map_err(|error| failed("open", path, &error))?;
        let Journal { origin, length, sum, .. } = journal;
        let (path, length) = (path.to_owned(), length as u64);
        Ok(Self { file, path, origin, length, sum, waiting: Vec::new(), batch: Batch::default() })
    }

    /// Adds an entry to those that the next [`flush`](Self::flush) writes; the batch says when and how.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<Batch, StoreError> {
        let entry = serde_json::to_string(entry).map_err(|error| unwritable(&self.path, &error))?;
        self.waiting.push(entry);
        Ok(self.batch.clone())
    }

    /// Writes what waits, as one line in one write; durable when it returns. After an error the writer must not be
    /// used again.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        let (entries, batch) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.batch));
        let written = self.write(&body(&entries));
        // Nobody else sets it: it was this writer's until now.
        let _ = batch.set(written.clone());
        written
    }

    fn write(&mut self, body: &str) -> Result<(), StoreError> {
        let (line, sum) = make_line(body, &self.sum);
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // The entries were not promised, so they must not turn up later.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
            return Err(failed("append to", &self.path, &error));
        }
        self.length += line.len() as u64;
        self.sum = sum;
        Ok(())
    }
}

fn unwritable(path: &Path, error: &serde_json::Error) -> StoreError {
    StoreError::Io(format!("cannot append to {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
