//! A bounded list of diagnostics.
//!
//! A hostile file can be wrong a million times; the first few hundred are kept, the rest are counted, and the
//! work of wording them is not done.

use std::collections::BTreeSet;

use super::{Code, Diagnostic, Span};

/// How many diagnostics are kept.
pub const PROBLEMS_MAX: usize = 200;

/// Diagnostics as they are found.
#[derive(Debug, Default)]
pub struct Problems {
    kept: Vec<Diagnostic>,
    more: usize,
}

impl Problems {
    /// Adds one; beyond [`PROBLEMS_MAX`] it is only counted and not made.
    pub fn add(&mut self, make: impl FnOnce() -> Diagnostic) {
        if self.kept.len() < PROBLEMS_MAX {
            self.kept.push(make());
        } else {
            self.more += 1;
        }
    }

    /// Adds those of another list.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.add(|| diagnostic);
        }
    }

    /// Whether none is an error so far.
    pub fn is_usable(&self) -> bool {
        !self.kept.iter().any(Diagnostic::is_error)
    }

    /// All of them in the order of their places, with a last line for those that were not kept.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        // A number that is not clear is told once, and not again as something of the wrong type.
        let unclear: BTreeSet<Option<Span>> =
            self.kept.iter().filter(|one| one.code == Code::AmbiguousNumber).map(place).collect();
        self.kept.retain(|one| one.code == Code::AmbiguousNumber || !unclear.contains(&place(one)));
        self.kept.sort_by_key(|one| (one.labels.is_empty(), place(one)));
        if self.more > 0 {
            let message = format!("{} more problems are not shown", self.more);
            let last = Diagnostic::error(Code::TooManyProblems, message);
            self.kept.push(last.help("mend some of these first"));
        }
        self.kept
    }
}

/// Where a diagnostic points first.
fn place(diagnostic: &Diagnostic) -> Option<Span> {
    diagnostic.labels.first().map(|label| label.span)
}
