//! The one voice for errors: what, where, whose turn it is, what survived, what next.

use serde_json::{Value, json};
use ss_core::diag::{Diagnostic, SourceFile, render};
use ss_core::text::printable;
use ss_engine::Failure;

use crate::exit::Exit;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub struct CommandError {
    /// The exit code.
    pub exit: Exit,
    /// What is printed.
    pub report: Report,
}

/// What is printed of an error.
#[derive(Debug)]
pub enum Report {
    /// One failure.
    Failure(Failure),
    /// Problems in the user's files.
    Diagnostics {
        /// The problems.
        problems: Vec<Diagnostic>,
        /// The files they are in.
        files: Vec<SourceFile>,
    },
}

impl CommandError {
    /// A failure with its exit code.
    pub fn new(exit: Exit, failure: Failure) -> Self {
        Self { exit, report: Report::Failure(failure) }
    }

    /// A misuse of the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, Failure::new("SS0001", message))
    }

    /// What a person reads.
    pub fn text(&self) -> String {
        match &self.report {
            Report::Failure(failure) => failure_text(failure),
            Report::Diagnostics { problems, files } => diagnostics_text(problems, files),
        }
    }

    /// Problems in the user's files, which [`CommandError::in_files`] adds.
    pub fn invalid(problems: Vec<Diagnostic>) -> Self {
        Self { exit: Exit::Invalid, report: Report::Diagnostics { problems, files: Vec::new() } }
    }

    /// The files that the problems are in.
    #[must_use]
    pub fn in_files(mut self, files: Vec<SourceFile>) -> Self {
        if let Report::Diagnostics { files: known, .. } = &mut self.report {
            *known = files;
        }
        self
    }

    /// Prints: JSON on stdout, or text on stderr.
    pub fn print(&self, as_json: bool) {
        if as_json {
            crate::render::answer(&self.json());
        } else {
            eprint!("{}", self.text());
        }
    }

    fn json(&self) -> Value {
        let error = match &self.report {
            Report::Failure(failure) => {
                json!({"code": failure.code, "message": failure.message, "hints": failure.hints, "where": []})
            }
            Report::Diagnostics { problems, files } => {
                let mut others = reports(problems, files);
                // The error is the first that is one; everything else that was found stands beside it.
                let first = problems.iter().position(Diagnostic::is_error).unwrap_or_default();
                assert!(first < others.len(), "files without a problem are no error");
                let mut error = others.remove(first);
                error["others"] = Value::Array(others);
                error
            }
        };
        json!({"version": 1, "kind": "error", "error": error})
    }
}

/// Diagnostics as `--json` prints them.
pub fn reports(problems: &[Diagnostic], files: &[SourceFile]) -> Vec<Value> {
    let report = |problem: &Diagnostic| serde_json::to_value(problem.report(files));
    problems.iter().map(|problem| report(problem).expect("a report is plain data")).collect()
}

/// Diagnostics as text, and below them how many there are; empty when there are none.
pub fn diagnostics_text(problems: &[Diagnostic], files: &[SourceFile]) -> String {
    let Some(first) = problems.iter().find(|one| one.is_error()).or(problems.first()) else {
        return String::new();
    };
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let count = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    };
    let counts = [count(errors, "error"), count(problems.len() - errors, "warning")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let text = render(problems, files);
    format!("{text}\n{}; `ss explain {}` says more\n", counts.join(", "), first.code)
}

/// `error[SS0000]: message` and its hints.
pub fn failure_text(failure: &Failure) -> String {
    let mut text = format!("error[{}]: {}\n", failure.code, printable(&failure.message, 4_000));
    for hint in &failure.hints {
        text.push_str(&format!("  hint: {}\n", printable(hint, 2_000)));
    }
    text
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        let exit = match failure.code {
            "SS0401" | "SS0411" => Exit::Locked,
            "SS0330" => Exit::Interrupted,
            code if code.starts_with("SS06") => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, failure)
    }
}

impl From<ss_ports::StoreError> for CommandError {
    fn from(error: ss_ports::StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl From<ss_ports::VaultError> for CommandError {
    fn from(error: ss_ports::VaultError) -> Self {
        Failure::from(error).into()
    }
}
