//! What the overlay's `_state` notes of a state that is elsewhere: the kind of place, lineage and serial. It is never the
//! truth; it shows that `state` names another place than it did, or that an old copy was put there.

use std::path::PathBuf;

use ss_core::state::State;
use ss_ports::StoreError;

use crate::overlay;

/// The overlay with the note, and what to call the place.
pub(crate) struct Note {
    pub(crate) overlay: PathBuf,
    pub(crate) backend: &'static str,
    /// For messages: `s3://bucket/prefix`.
    pub(crate) place: String,
}

impl Note {
    /// Refuses a place that does not fit to what was noted.
    pub(crate) fn check(&self, base: Option<&State>) -> Result<(), StoreError> {
        let Some(noted) = overlay::read(&self.overlay)? else { return Ok(()) };
        let (file, place) = (self.overlay.display(), &self.place);
        let lineage = ss_core::text::printable(&noted.lineage, 64);
        let why = match base {
            None if noted.backend.is_none() => format!(
                "the state is in `_state` of {file} and on this machine, and {place} is empty: `ss state migrate` moves it"
            ),
            None => format!(
                "{place} is empty, but `_state` in {file} notes a state there (lineage {lineage}, serial {}): does \
                 `state` name the right place? If the place was lost, `ss state push` puts a pulled state back",
                noted.serial
            ),
            Some(base) if base.lineage != noted.lineage => format!(
                "{place} holds the state of another system (lineage {}) than `_state` in {file} notes (lineage \
                 {lineage}): does `state` name the right place? If it does, remove `_state` from the overlay",
                base.lineage
            ),
            Some(base) if base.serial < noted.serial => format!(
                "{place} is at serial {}, but `_state` in {file} notes serial {}: an older copy was put there, or somebody \
                 deployed elsewhere. `ss state push` puts the newer state there; if the older one shall stand, remove \
                 `_state` from the overlay",
                base.serial, noted.serial
            ),
            Some(_) => return Ok(()),
        };
        Err(StoreError::Mismatch(why))
    }

    /// Notes the state. A checkout that cannot be written (a runner's) has one note less, and no harm is done.
    pub(crate) fn write(&self, state: &State) {
        let _ = overlay::write(&self.overlay, &state.note(self.backend));
    }
}
