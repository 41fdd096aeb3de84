//! Which state counts: the store's, the overlay's, or neither because they do not fit together.
//!
//! Pure. Lineage says whether two states are of the same story, the serial which is later in it.

use std::path::Path;

use ss_core::record::{Folded, fold};
use ss_core::state::{STATE_VERSION, State};
use ss_ports::{Entry, StoreError};

use crate::journal::Journal;

/// What was found on disk, read in this order, so that a run that commits meanwhile cannot make the overlay look
/// newer than the store.
pub(crate) struct Found {
    pub(crate) overlay: Option<State>,
    pub(crate) journal: Option<Journal>,
    pub(crate) local: Option<State>,
}

/// Where messages point to.
pub(crate) struct Places<'p> {
    pub(crate) directory: &'p Path,
    pub(crate) overlay: &'p Path,
}

/// What counts.
#[derive(Debug, PartialEq)]
pub(crate) struct Settled {
    /// The last committed state; `None` before the first.
    pub(crate) base: Option<State>,
    /// Whether `state.json` has it.
    pub(crate) is_stored: bool,
    /// The entries since then.
    pub(crate) entries: Vec<Entry>,
    /// Whether the overlay lacks what the store has.
    pub(crate) is_overlay_behind: bool,
}

impl Settled {
    fn from_overlay(base: Option<State>) -> Self {
        Self { base, is_stored: false, entries: Vec::new(), is_overlay_behind: false }
    }

    /// The state with the entries folded in.
    pub(crate) fn fold(self) -> Option<Folded> {
        Some(fold(self.base?, &self.entries))
    }
}

/// Decides what counts.
pub(crate) fn settle(found: Found, places: &Places<'_>) -> Result<Settled, StoreError> {
    let Found { overlay, journal, local } = found;
    let entries = live_entries(journal, local.as_ref(), places)?;
    let Some(local) = local else {
        return Ok(Settled::from_overlay(overlay));
    };
    if local.version > STATE_VERSION {
        return Err(StoreError::Damaged(format!(
            "{} has version {}, and this `ss` knows {STATE_VERSION}; use the newer `ss` that wrote it",
            places.directory.join("state.json").display(),
            local.version
        )));
    }
    let is_local = match &overlay {
        Some(overlay) => local_counts(&local, overlay, &entries, places)?,
        None => true,
    };
    if is_local {
        let is_overlay_behind = overlay.map_or(0, |overlay| overlay.serial) < local.serial;
        return Ok(Settled { base: Some(local), is_stored: true, entries, is_overlay_behind });
    }
    Ok(Settled::from_overlay(overlay))
}

/// The journal's entries, if they are about this state: an older one's were committed with it.
fn live_entries(
    journal: Option<Journal>,
    local: Option<&State>,
    places: &Places<'_>,
) -> Result<Vec<Entry>, StoreError> {
    let Some(journal) = journal else { return Ok(Vec::new()) };
    let (state, remedy) = match local {
        Some(local) if local.lineage == journal.origin.lineage => {
            if journal.origin.serial < local.serial {
                return Ok(Vec::new());
            }
            if journal.origin.serial == local.serial {
                return Ok(journal.entries);
            }
            (format!("state.json is older, at serial {}", local.serial), "that state.json")
        }
        Some(local) => (format!("state.json is of lineage {}", local.lineage), "the state.json"),
        None => ("there is no state.json".to_owned(), "the state.json"),
    };
    Err(StoreError::Damaged(format!(
        "the journal in {} goes on from serial {} of lineage {}, but {state}; nothing was changed. Put back {remedy} \
         that belongs to the journal",
        places.directory.display(),
        journal.origin.serial,
        journal.origin.lineage,
    )))
}

/// Whether the store's state counts rather than the overlay's.
fn local_counts(
    local: &State,
    overlay: &State,
    entries: &[Entry],
    places: &Places<'_>,
) -> Result<bool, StoreError> {
    let (directory, file) = (places.directory.display(), places.overlay.display());
    let mismatch = |text: String| Err(StoreError::Mismatch(text));
    if local.lineage != overlay.lineage {
        return mismatch(format!(
            "`_state` in {file} ({}) and the store in {directory} ({}) are not of the same system: neither is newer. \
             To go on with the overlay's, move the store away; to go on with the store's, remove `_state` from the \
             overlay",
            describe(overlay),
            describe(local)
        ));
    }
    if overlay.serial < local.serial {
        return Ok(true);
    }
    if overlay.serial == local.serial {
        if overlay.deploy == local.deploy {
            return Ok(true);
        }
        return mismatch(format!(
            "`_state` in {file} ({}) and the store in {directory} ({}) went apart: two machines deployed from the \
             same state, and neither is newer. Decide which deploy stands: for the overlay's, move the store away; \
             for the store's, remove `_state` from the overlay. Then `ss drift` shows what the other one left",
            describe(overlay),
            describe(local)
        ));
    }
    if is_idle(local, entries) {
        return Ok(false);
    }
    mismatch(format!(
        "the store in {directory} ({}) is older than `_state` in {file} ({}), but a run on this machine that did not \
         end is in the store. To finish that run, put the overlay's `_state` back to serial {} and deploy again; to \
         give it up, move the store away, and look at the provider for what that run made",
        describe(local),
        describe(overlay),
        local.serial
    ))
}

/// Whether the entries say nothing that the state does not say.
fn is_idle(state: &State, entries: &[Entry]) -> bool {
    let folded = fold(state.clone(), entries);
    folded.open.is_empty() && folded.unfinished.is_none() && folded.state == *state
}

fn describe(state: &State) -> String {
    let deploy =
        state.deploy.as_ref().map_or_else(String::new, |deploy| format!(", deploy {deploy}"));
    format!("lineage {}, serial {}{deploy}", printable(&state.lineage), state.serial)
}

fn printable(text: &str) -> String {
    ss_core::text::printable(text, 64)
}

#[cfg(test)]
mod tests {
    use ss_core::record::CallEnd;
    use ss_testkit::sample::{begin, call, deploy, intent, recorded, service};

    use super::*;

    const PLACES: fn() -> Places<'static> =
        || Places { directory: Path::new("/store"), overlay: Path::new("starsystem.prod.yaml") };

    fn state(serial: u64, deploy_number: u32) -> State {
        State { serial, deploy: Some(deploy(deploy_number)), ..State::empty("line") }
    }

    fn settled(overlay: Option<State>, local: Option<State>) -> Result<Settled, StoreError> {
        settle(Found { overlay, journal: None, local }, &PLACES())
    }

    fn mismatch(result: Result<Settled, StoreError>) -> String {
        match result {
            Err(StoreError::Mismatch(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_nothing() {
        let settled = settled(None, None).unwrap();
        assert_eq!((settled.base.is_none(), settled.is_overlay_behind), (true, false));
    }

    #[test]
    fn a_fresh_checkout_takes_the_overlay() {
        assert_eq!(settled(Some(state(7, 1)), None).unwrap().base, Some(state(7, 1)));
    }

    #[test]
    fn an_overlay_that_is_behind_or_lost_gives_way() {
        for overlay in [None, Some(state(6, 1)), Some(state(0, 9))] {
            let settled = settled(overlay, Some(state(7, 2))).unwrap();
            assert_eq!((settled.base, settled.is_overlay_behind), (Some(state(7, 2)), true));
        }
        assert!(!settled(Some(state(7, 2)), Some(state(7, 2))).unwrap().is_overlay_behind);
    }

    #[test]
    fn a_newer_overlay_is_taken_when_nothing_is_pending() {
        assert_eq!(settled(Some(state(8, 2)), Some(state(7, 1))).unwrap().base, Some(state(8, 2)));
    }

    #[test]
    fn a_newer_overlay_is_refused_over_an_unfinished_run() {
        let journal = |entries| Journal::sample("line", 7, entries);
        let refused = |entries| {
            let found = Found {
                overlay: Some(state(8, 2)),
                journal: Some(journal(entries)),
                local: Some(state(7, 1)),
            };
            settle(found, &PLACES())
        };
        let text = mismatch(refused(vec![begin(3, "line", 7)]));
        assert!(text.contains("serial 7") && text.contains("is older than `_state`"), "{text}");
        mismatch(refused(vec![intent(call(3, "db", 0))]));
        let end = CallEnd::Done { record: Box::new(recorded("one")) };
        let outcome = ss_ports::Entry::Outcome { call: call(3, "db", 0), end };
        mismatch(refused(vec![outcome]));
        assert_eq!(refused(Vec::new()).unwrap().base, Some(state(8, 2)));
    }

    #[test]
    fn states_that_went_apart_are_refused() {
        let text = mismatch(settled(Some(state(7, 2)), Some(state(7, 1))));
        assert!(text.contains(deploy(1).as_str()) && text.contains(deploy(2).as_str()), "{text}");
    }

    #[test]
    fn another_lineage_is_refused_without_escape_codes() {
        let overlay = State { serial: 9, ..State::empty("\u{1b}[2Jother") };
        let text = mismatch(settled(Some(overlay), Some(state(7, 1))));
        assert!(text.contains("neither is newer") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_journal_counts_only_for_its_own_serial() {
        let found = |serial, local| Found {
            overlay: None,
            journal: Some(Journal::sample("line", serial, vec![intent(call(3, "db", 0))])),
            local,
        };
        let settled = settle(found(6, Some(state(7, 1))), &PLACES()).unwrap();
        assert!(settled.entries.is_empty());
        let folded = settle(found(7, Some(state(7, 1))), &PLACES()).unwrap().fold().unwrap();
        assert!(folded.state.services.contains_key(&service("db")));
        let foreign = State { serial: 7, ..State::empty("other") };
        for local in [Some(state(6, 1)), Some(foreign), None] {
            let damaged = settle(found(7, local), &PLACES());
            assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
        }
    }

    #[test]
    fn a_newer_version_is_refused() {
        let newer = State { version: 2, ..state(7, 1) };
        let refused = settled(None, Some(newer));
        assert!(matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("version 2")));
    }
}
