//! What is wrong with the user's files: a stable code, a sentence, the places, the way out.
//!
//! Diagnostics are data. [`render`] turns them into plain text; colour is the caller's business.

mod codes;
mod problems;
mod render;
mod suggest;

use serde::{Deserialize, Serialize};

pub use codes::{Code, codes, explain};
pub use problems::{PROBLEMS_MAX, Problems};
pub use render::render;
pub use suggest::{did_you_mean, nearest};

/// How large one file may be, in bytes.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A stretch of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Span {
    /// Index of the file in the list that [`render`] is given: 0 the base, 1 the overlay.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
}

impl Span {
    /// A whole file, when there is nothing in it to point at.
    pub const WHOLE: Self = Self { file: 0, start: u32::MAX, end: u32::MAX, line: 1, column: 1 };

    /// The stretch of a text that begins at a byte and has so many.
    pub(crate) fn at(text: &str, start: usize, bytes: usize) -> Self {
        let before = &text[..start];
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let line_start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
        // `\r\n` ends one line.
        let ends = before.matches(['\n', '\r']).count() - before.matches("\r\n").count();
        Self {
            file: 0,
            start: number(start),
            end: number(start + bytes),
            line: number(ends + 1),
            column: number(before[line_start..].chars().filter(|&c| c != '\u{feff}').count() + 1),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts the two together.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but probably means something else.
    Warning,
}

/// One place a diagnostic speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there; may be empty.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// The places, the most telling first.
    pub labels: Vec<Label>,
    /// Ways out.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning without a place.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a way out.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Whether it forbids going on.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The shape of `--json`.
    pub fn report(&self, files: &[SourceFile]) -> Report {
        let place = |label: &Label| {
            let file = files.get(label.span.file as usize)?;
            Some(Place {
                file: file.name.clone(),
                line: label.span.line,
                column: label.span.column,
            })
        };
        Report {
            code: self.code.as_str().to_owned(),
            severity: self.severity,
            message: self.message.clone(),
            hints: self.help.clone(),
            places: self.labels.iter().filter_map(place).collect(),
        }
    }
}

/// A diagnostic as `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The code, `SS0201`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Ways out.
    pub hints: Vec<String>,
    /// Where.
    #[serde(rename = "where")]
    pub places: Vec<Place>,
}

/// A place as `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A file of the user's, with the name that messages call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as the user would write it.
    pub name: String,
    /// Its text; what can be shown of it when it is not text.
    pub text: String,
    /// Why nothing of it is read.
    unreadable: Option<Box<Diagnostic>>,
}

impl SourceFile {
    /// Takes a file that is known to be text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), unreadable: None }
    }

    /// Takes a file that could not be read; the problem is told with those of the other file.
    pub fn unreadable(name: impl Into<String>, problem: Diagnostic) -> Self {
        let unreadable = Some(Box::new(problem.at(Span::WHOLE, "")));
        Self { name: name.into(), text: String::new(), unreadable }
    }

    /// Takes the bytes of a file, also when they are too many or no text.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        if bytes.len() > FILE_BYTES_MAX {
            return Self::unreadable(name, too_large());
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let problem = Diagnostic::error(Code::NotText, "the file is UTF-16, not UTF-8");
            return Self::unreadable(name, problem.help("save it as UTF-8"));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self { name, text, unreadable: None },
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                // The text up to there is as it was, so the place is the same in what is shown.
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let message = "the file is not UTF-8 text: a byte that does not belong stands here";
                let problem = Diagnostic::error(Code::NotText, message)
                    .at(Span::at(&text, at, '\u{fffd}'.len_utf8()), "")
                    .help("save it as UTF-8");
                Self { name, text, unreadable: Some(Box::new(problem)) }
            }
        }
    }

    /// Why nothing of the file is read, said of the file at the given index.
    pub(crate) fn problem(&self, index: u32) -> Option<Diagnostic> {
        let mut problem = match &self.unreadable {
            Some(problem) => (**problem).clone(),
            None if self.text.len() > FILE_BYTES_MAX => too_large().at(Span::WHOLE, ""),
            None => return None,
        };
        problem.labels.iter_mut().for_each(|label| label.span.file = index);
        Some(problem)
    }
}

/// A sentence as it stands after a colon: without its capital and its full stop.
pub(crate) fn phrase(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut characters = sentence.chars();
    match (characters.next(), characters.clone().next()) {
        // `URL of …` and `A …` differ in their second letter.
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// The diagnostic for a file beyond [`FILE_BYTES_MAX`].
pub fn too_large() -> Diagnostic {
    let limit = FILE_BYTES_MAX / 1024 / 1024;
    Diagnostic::error(Code::TooLarge, format!("the file is larger than {limit} MiB"))
        .help("a configuration is written by people: look for what made this file so large")
}
