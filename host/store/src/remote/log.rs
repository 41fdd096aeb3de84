//! The state and the journal of a shared place: one log, whose next line only one writer can write.
//!
//! Line `n` is the object `log/<n>`, written on the condition that there is none. A line is a fence (a new holder of
//! the lease begins), an entry of the journal, or a state: a commit. What counts is the last state and the entries
//! behind it. A writer that lost the lease finds its next line taken, whatever it wanted to write there.

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use ss_core::state::{STATE_VERSION, State};
use ss_ports::{Entry, StoreError};

use super::objects::{Put, When};
use super::place::Place;

const FOLDER: &str = "log/";

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The fence of who wrote it.
    pub(crate) fence: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    Fence(()),
    Entry(Box<Entry>),
    State(Box<State>),
}

/// The log as it was read.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The last state, or the empty one that the first run began from.
    pub(crate) base: Option<State>,
    pub(crate) entries: Vec<Entry>,
    /// The highest fence.
    pub(crate) fence: u64,
    /// The number of the next line.
    pub(crate) next: u64,
    /// The numbers of all lines that are there.
    numbers: Vec<u64>,
    /// The numbers of those that are states.
    states: Vec<u64>,
}

/// Reads the log.
pub(crate) async fn read(place: &Place) -> Result<Log, StoreError> {
    let numbers = numbers(place).await?;
    let lines = try_join_all(numbers.iter().map(|number| line(place, *number))).await?;
    let mut log = Log { next: numbers.last().map_or(0, |last| last + 1), ..Log::default() };
    for (number, line) in numbers.into_iter().zip(lines) {
        // One that was pruned between the list and the read stood before the last state.
        if let Some(line) = line {
            log.add(number, line);
        }
    }
    match &log.base {
        Some(base) if base.version > STATE_VERSION => Err(StoreError::Damaged(format!(
            "the shared state has version {}, and this `ss` knows {STATE_VERSION}; use the newer `ss` that wrote it",
            base.version
        ))),
        _ => Ok(log),
    }
}

impl Log {
    /// Takes a line in that stands in the place.
    pub(crate) fn add(&mut self, number: u64, line: Line) {
        self.fence = self.fence.max(line.fence);
        self.numbers.push(number);
        self.next = number + 1;
        match line.what {
            What::Fence(()) => {}
            What::Entry(entry) => {
                if let (Entry::Begin { lineage, .. }, None) = (&*entry, &self.base) {
                    self.base = Some(State::empty(lineage));
                }
                self.entries.push(*entry);
            }
            What::State(state) => {
                self.base = Some(*state);
                self.entries.clear();
                self.states.push(number);
            }
        }
    }

    /// Writes the next line; `false` when somebody else has written one there.
    pub(crate) async fn write(&mut self, place: &Place, line: Line) -> Result<bool, StoreError> {
        let bytes = serde_json::to_vec(&line)
            .map_err(|error| StoreError::Io(format!("cannot write the state: {error}")))?;
        match place.put(&key(self.next), &bytes, When::Absent).await? {
            Put::Written(_) => {
                self.add(self.next, line);
                Ok(true)
            }
            Put::Overtaken => Ok(false),
        }
    }

    /// Whether nobody has written behind our last line.
    pub(crate) async fn is_last(&self, place: &Place) -> Result<bool, StoreError> {
        Ok(numbers(place).await?.last().is_none_or(|last| *last < self.next))
    }

    /// Removes lines that no longer count. Those since the state before the last stay: a writer that fell behind
    /// must find its line taken.
    pub(crate) async fn prune(&mut self, place: &Place) -> Result<(), StoreError> {
        let [.., before, _] = self.states[..] else { return Ok(()) };
        let (old, kept) = self.numbers.iter().partition(|number| **number < before);
        let old: Vec<u64> = old;
        try_join_all(old.iter().map(|number| async move { place.delete(&key(*number)).await }))
            .await?;
        self.numbers = kept;
        self.states.retain(|number| *number >= before);
        Ok(())
    }
}

fn key(number: u64) -> String {
    format!("{FOLDER}{number:012}")
}

async fn numbers(place: &Place) -> Result<Vec<u64>, StoreError> {
    let names = place.list(FOLDER).await?;
    let number = |name: String| name.strip_prefix(FOLDER)?.parse().ok();
    Ok(names.into_iter().filter_map(number).collect())
}

async fn line(place: &Place, number: u64) -> Result<Option<Line>, StoreError> {
    let Some((bytes, _)) = place.get(&key(number)).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        StoreError::Damaged(format!(
            "`{}` of the shared state is damaged ({error}); nothing was changed. Put the object back from a backup, or \
             an older version of it where the bucket keeps versions",
            key(number)
        ))
    })
}
