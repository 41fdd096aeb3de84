//! Receipts, snapshots and the places of tapes: what is kept of each run, and for how many.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ss_core::ident::DeployId;
use ss_ports::{CallId, Entry, Receipt, Receipts, Snapshot, StoreError};

use crate::files::{self, failed};

/// How many runs are kept.
pub const RUNS_KEPT: usize = 50;

const VERSION: u32 = 1;

/// What is kept of each run.
pub(crate) struct Runs {
    receipts: PathBuf,
    snapshots: PathBuf,
    tapes: PathBuf,
}

impl Runs {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            receipts: directory.join("receipts"),
            snapshots: directory.join("snapshots"),
            tapes: directory.join("tapes"),
        }
    }

    pub(crate) fn tape(&self, call: &CallId) -> Result<PathBuf, StoreError> {
        let name = format!("{}-{}.tape", call.service, call.number);
        Ok(self.tapes.join(file_stem(&call.deploy)?).join(name))
    }

    pub(crate) fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        files::create_dir(&self.receipts)?;
        files::write_json(&document(&self.receipts, &receipt.header.id)?, receipt)
    }

    /// One that cannot be read is named and does not hide the others.
    pub(crate) fn receipts(&self) -> Result<Receipts, StoreError> {
        let mut all = Receipts::default();
        for path in self.receipt_files()? {
            match read_receipt(&path) {
                Ok(Some(receipt)) => all.found.push(receipt),
                Ok(None) => {}
                Err(error) => all.damaged.push(error.to_string()),
            }
        }
        let age = |receipt: &Receipt| (receipt.header.started_ms, receipt.header.id.clone());
        all.found.sort_by_cached_key(|receipt| std::cmp::Reverse(age(receipt)));
        Ok(all)
    }

    fn receipt_files(&self) -> Result<BTreeSet<PathBuf>, StoreError> {
        let read = || -> std::io::Result<BTreeSet<PathBuf>> {
            fs::read_dir(&self.receipts)?.map(|entry| Ok(entry?.path())).collect()
        };
        match read() {
            Ok(mut paths) => {
                // What a killed write left begins with a dot.
                paths.retain(|path| {
                    path.extension().is_some_and(|extension| extension == "json")
                        && !path
                            .file_name()
                            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
                });
                Ok(paths)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(failed("list", &self.receipts, &error)),
        }
    }

    pub(crate) fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        files::create_dir(&self.snapshots)?;
        files::write_json(&document(&self.snapshots, &snapshot.deploy)?, snapshot)
    }

    pub(crate) fn snapshot(&self, deploy: &DeployId) -> Result<Option<Snapshot>, StoreError> {
        let path = document(&self.snapshots, deploy)?;
        let snapshot: Option<Snapshot> =
            files::read_json(&path, "This deploy cannot be rolled back to.")?;
        match snapshot {
            Some(snapshot) if snapshot.version > VERSION => Err(newer(&path, snapshot.version)),
            other => Ok(other),
        }
    }

    /// Removes all but the newest runs and those that the journal's entries speak of.
    pub(crate) fn prune(
        &self,
        keep: usize,
        entries: &[Entry],
    ) -> Result<Vec<DeployId>, StoreError> {
        let needed: BTreeSet<&DeployId> = entries.iter().map(Entry::deploy).collect();
        let ids = self.receipts()?.found.into_iter().skip(keep).map(|receipt| receipt.header.id);
        let old: Vec<DeployId> = ids.filter(|id| !needed.contains(id)).collect();
        for id in &old {
            // The receipt goes last: while it is there, the next prune finds what this one left.
            let tapes = self.tapes.join(file_stem(id)?);
            let snapshot = document(&self.snapshots, id)?;
            let receipt = document(&self.receipts, id)?;
            removed(fs::remove_dir_all(&tapes), &tapes)?;
            removed(fs::remove_file(&snapshot), &snapshot)?;
            removed(fs::remove_file(&receipt), &receipt)?;
        }
        Ok(old)
    }
}

fn read_receipt(path: &Path) -> Result<Option<Receipt>, StoreError> {
    let receipt: Option<Receipt> = files::read_json(path, "Only this run's receipt is lost.")?;
    match receipt {
        Some(receipt) if receipt.version > VERSION => Err(newer(path, receipt.version)),
        Some(receipt) if document(path.parent().unwrap_or(path), &receipt.header.id)? != path => {
            Err(StoreError::Damaged(format!("{} is the receipt of another run", path.display())))
        }
        other => Ok(other),
    }
}

fn newer(path: &Path, version: u32) -> StoreError {
    StoreError::Damaged(format!(
        "{} has version {version}, and this `ss` knows {VERSION}; use a newer `ss`",
        path.display()
    ))
}

fn removed(result: std::io::Result<()>, path: &Path) -> Result<(), StoreError> {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, &error)),
        _ => Ok(()),
    }
}

fn document(directory: &Path, deploy: &DeployId) -> Result<PathBuf, StoreError> {
    Ok(directory.join(format!("{}.json", file_stem(deploy)?)))
}

/// An id that came out of a file may be anything; only a UUID becomes part of a path.
fn file_stem(deploy: &DeployId) -> Result<&str, StoreError> {
    match DeployId::parse(deploy.as_str()) {
        Some(_) => Ok(deploy.as_str()),
        None => Err(StoreError::Damaged("a deploy's id is not a UUID".to_owned())),
    }
}
