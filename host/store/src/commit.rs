//! A commit, step by step. The order is what makes a crash between any two of them harmless; the crate's page
//! says why.

use std::path::{Path, PathBuf};

use ss_core::state::State;
use ss_ports::StoreError;

use crate::journal::{self, Origin};
use crate::{files, overlay};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    State,
    Overlay,
    Journal,
}

/// The order.
pub(crate) const ORDER: [Step; 3] = [Step::State, Step::Overlay, Step::Journal];

/// Where the files of one system and environment are.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) directory: PathBuf,
    pub(crate) overlay: Option<PathBuf>,
}

impl Paths {
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.join("journal.jsonl")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// The overlay's name for messages.
    pub(crate) fn overlay_name(&self) -> &Path {
        self.overlay.as_deref().unwrap_or(Path::new("the overlay"))
    }
}

/// Does one step towards this state.
pub(crate) fn perform(step: Step, paths: &Paths, state: &State) -> Result<(), StoreError> {
    match step {
        Step::State => {
            files::create_dir(&paths.directory)?;
            files::write_json(&paths.state(), state)
        }
        Step::Overlay => write_overlay(paths, state),
        Step::Journal => {
            journal::begin(&paths.journal(), Origin::new(&state.lineage, state.serial)).map(drop)
        }
    }
}

/// Brings the overlay up to the store's state, which is safe whatever happens here.
pub(crate) fn write_overlay(paths: &Paths, state: &State) -> Result<(), StoreError> {
    let Some(path) = &paths.overlay else { return Ok(()) };
    overlay::write(path, state).map_err(|error| {
        StoreError::Io(format!(
            "{error}. The state is safe in {} at serial {}; only its copy in the overlay is missing. Mend the file \
             and run the same command again: it writes the copy first",
            paths.state().display(),
            state.serial
        ))
    })
}
