//! What can be wrong with YAML, in words.

use granit_parser::{ErrorKind, Marker, ScanError};

use super::{ALIASES_MAX, DEPTH_MAX, span_of, tree::Node};
use crate::diag::{Code, Diagnostic, Span};

/// What ends the reading at once.
pub(super) type Stop = Box<Diagnostic>;

/// The end of the reading: whatever stands below may be wrong as well.
pub(super) fn last(stop: Diagnostic) -> Diagnostic {
    match stop.code {
        Code::NotOneMap => stop,
        _ => stop.help("the rest of this file is checked when this is mended"),
    }
}

/// The parser could not go on.
pub(super) fn syntax(file: u32, text: &str, error: &ScanError) -> Stop {
    let marker: Marker = *error.marker();
    let span = span_of(file, marker, marker);
    if let Some(conflict) = merge_conflict(file, text) {
        return conflict;
    }
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(span);
    }
    let (message, help) = words(error.kind());
    let message = message.unwrap_or_else(|| {
        let info = error.info();
        let info = info.rsplit_once(", ").map_or(info.as_ref(), |(_, found)| found);
        format!("not valid YAML: {info}")
    });
    let help = help.unwrap_or(match error.info() {
        info if info.contains("escape") => {
            "in double quotes a `\\` begins an escape; single quotes take it as it is"
        }
        _ => "look at this line and the one before it",
    });
    stop(Code::Syntax, message, span, help)
}

/// What `git merge` leaves in a file that it could not merge.
fn merge_conflict(file: u32, text: &str) -> Option<Stop> {
    let marks = |line: &&str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
    let line = text.lines().find(marks)?;
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let span = Span { file, ..Span::at(text, start, 7) };
    let message = "a merge conflict is not resolved".to_owned();
    Some(stop(Code::Syntax, message, span, "keep one side and remove the marks"))
}

/// The commonest slips, said of the file and not of the parser.
fn words(kind: &ErrorKind) -> (Option<String>, Option<&'static str>) {
    let (message, help) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            ("a tab stands in the indentation".to_owned(), "indent with spaces")
        }
        ErrorKind::UnclosedQuotedScalar => ("the quote is never closed".to_owned(), "close it"),
        ErrorKind::UnclosedFlowCollection { open } => {
            (format!("the bracket `{open}` is never closed"), "close it")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a value cannot begin with `{character}`"), "put the value in quotes")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            "a `:` stands where no field can begin".to_owned(),
            "a value with `: ` in it needs quotes; else look at the indentation, and for a bracket above that is not closed",
        ),
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation => (
            "this line belongs to nothing above it".to_owned(),
            "fields of one map stand in one column, and so do the `-` of one list",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            let message = "a `:` is missing after this name".to_owned();
            return (
                Some(message),
                Some("a field is written `name: value`, with a space after `:`"),
            );
        }
        _ => return (None, None),
    };
    (Some(message), Some(help))
}

/// A NUL byte: no text file has one, and few tools survive it.
pub(super) fn nul(file: u32, text: &str, at: usize) -> Stop {
    let span = Span { file, ..Span::at(text, at, 1) };
    stop(Code::NotText, "the file holds a NUL byte".to_owned(), span, "save it as text")
}

pub(super) fn empty(file: u32, name: &str) -> Stop {
    let span = Span { file, start: 0, end: 0, line: 1, column: 1 };
    stop(Code::NotOneMap, format!("`{name}` is empty"), span, "`ss init` writes a first one")
}

pub(super) fn not_a_map(node: &Node) -> Stop {
    let message = format!("the file must hold fields (`name: value`), not {}", node.kind());
    stop(Code::NotOneMap, message, node.span, "begin with `version: \"2\"`")
}

pub(super) fn second_document(span: Span) -> Stop {
    let message = "a second YAML document begins here".to_owned();
    stop(Code::NotOneMap, message, span, "one file holds one document; remove the `---`")
}

pub(super) fn too_deep(span: Span) -> Stop {
    let message = format!("nested more than {DEPTH_MAX} levels deep");
    stop(Code::TooLarge, message, span, "write the values flatter")
}

pub(super) fn too_many_nodes(code: Code, span: Span) -> Stop {
    let message = match code {
        Code::TooManyAliases => "anchors and aliases grow to more than a million values".to_owned(),
        _ => "more than a million values in one file".to_owned(),
    };
    let diagnostic = Diagnostic::error(code, message).at(span, "it goes over the limit here");
    Box::new(diagnostic.help("look for what made this file so large, or split the system"))
}

pub(super) fn too_many_aliases(span: Span) -> Stop {
    let message = format!("more than {ALIASES_MAX} aliases in one file");
    stop(Code::TooManyAliases, message, span, "write the values out")
}

pub(super) fn contains_itself(span: Span) -> Stop {
    let message = "a value cannot contain itself".to_owned();
    stop(Code::TooManyAliases, message, span, "repeat only values that end before the alias")
}

pub(super) fn unknown_anchor(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error(Code::UnknownAnchor, format!("`*{name}` repeats nothing"))
        .at(span, "no anchor of this name stands before it")
        .help(format!(
            "write `&{name}` in front of the value to repeat, or put `*{name}` in quotes"
        ))
}

pub(super) fn not_a_key(span: Span) -> Diagnostic {
    let message = "the name of a field must be text";
    Diagnostic::error(Code::UnsupportedYaml, message)
        .at(span, "")
        .help("write `name: value`; a value that begins with `{` or `[` needs quotes")
}

fn stop(code: Code, message: String, span: Span, help: &str) -> Stop {
    Box::new(Diagnostic::error(code, message).at(span, "").help(help))
}
