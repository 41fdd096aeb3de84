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
            Report::Diagnostics { problems, files } => render(problems, files),
        }
    }

    /// Prints: JSON on stdout, or text on stderr.
    pub fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
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
                let mut all: Vec<Value> = problems
                    .iter()
                    .filter(|problem| problem.is_error())
                    .filter_map(|problem| serde_json::to_value(problem.report(files)).ok())
                    .collect();
                let mut first = if all.is_empty() { json!({}) } else { all.remove(0) };
                if let Value::Object(map) = &mut first {
                    map.insert("others".to_owned(), Value::Array(all));
                }
                first
            }
        };
        json!({"version": 1, "kind": "error", "error": error})
    }
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
            "SS0401" => Exit::Locked,
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
