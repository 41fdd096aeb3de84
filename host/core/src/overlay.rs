//! The `_state` block of an overlay: read it, and write it without touching another byte.
//!
//! The overlay belongs to the user, the one top-level `_state:` block in it to `ss`. A parser finds the block, the
//! text is cut and joined around it, and the result is parsed again before anyone may use it: the rest of the file
//! is byte for byte what it was, it means what it meant, and `_state` holds exactly the given state. Nothing here
//! reads or writes a file.

mod block;
mod document;
mod own;

use crate::state::{STATE_VERSION, State};
use document::Document;

/// Why a text cannot hold a `_state` block, or why the one it has cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// The text is not YAML, or not a mapping with text keys.
    #[error("it is not valid YAML: {0}")]
    Syntax(String),
    /// The text holds more than one document.
    #[error("it holds more than one YAML document; keep one, without a second `---`")]
    MultipleDocuments,
    /// The root is in braces.
    #[error("its top level is written in braces; write each top-level key on a line of its own")]
    FlowRoot,
    /// The top-level keys do not begin their lines, or a block that is not ours would be cut.
    #[error("`_state` cannot be written: each top-level key must begin at the start of its line")]
    Indented,
    /// The block was written by a newer `ss`.
    #[error(
        "its `_state` has version {found}, and this `ss` knows {STATE_VERSION}: use a newer `ss`"
    )]
    Newer {
        /// The version it has.
        found: u64,
    },
    /// The block is not a state.
    #[error(
        "its `_state` block is damaged ({0}): put the block back as `ss` wrote it, or remove it to have it written anew"
    )]
    Damaged(String),
    /// With the block written, the file would not hold what it should; nothing may use the text.
    #[error(
        "`_state` cannot be written without changing the rest of the file ({0}); end the file with a plain `key: value` line"
    )]
    NotFaithful(String),
}

/// Reads the state out of an overlay; `None` when it has no `_state`.
pub fn read(text: &str) -> Result<Option<State>, OverlayError> {
    match own::read(text) {
        Some((_, state)) => Ok(Some(state)),
        None => Document::parse(text)?.state(),
    }
}

/// Where the block begins when it is exactly as `ss` wrote it, at the end; what is before it is the user's.
pub fn own_block(text: &str) -> Option<usize> {
    own::read(text).map(|(start, _)| start)
}

/// Gives the text with its `_state` block replaced, added at the end, or (with `None`) removed.
pub fn splice(text: &str, state: Option<&State>) -> Result<String, OverlayError> {
    let before = Document::parse(text)?;
    let after = match state {
        Some(state) => before.with_block(state)?,
        None => before.without_block(),
    };
    verify(&before, &after, state)?;
    Ok(after)
}

/// Reads the result as a stranger would and compares.
fn verify(before: &Document, after: &str, wanted: Option<&State>) -> Result<(), OverlayError> {
    let unfaithful = |what: &str| OverlayError::NotFaithful(what.to_owned());
    let after = Document::parse(after).map_err(|error| unfaithful(&error.to_string()))?;
    if after.without_block() != before.without_block() {
        return Err(unfaithful("other bytes would change"));
    }
    if !after.others().eq(before.others()) {
        return Err(unfaithful("another key would change its value"));
    }
    if after.state()?.as_ref() != wanted {
        return Err(unfaithful("the state would not read back"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
