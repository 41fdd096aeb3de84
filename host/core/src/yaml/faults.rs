//! What can be wrong with YAML, in words.

use granit_parser::{ErrorKind, Marker, ScanError};

use super::{ALIASES_MAX, DEPTH_MAX, span_of, tree::Node};
use crate::diag::{Code, Diagnostic, Span};

/// What ends the reading at once.
pub(super) type Stop = Box<Diagnostic>;

/// The parser could not go on.
pub(super) fn syntax(file: u32, error: &ScanError) -> Stop {
    let marker: Marker = *error.marker();
    let span = span_of(file, marker, marker);
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(span);
    }
    let (message, help) = words(error.kind());
    let message = message.unwrap_or_else(|| format!("not valid YAML: {}", error.info()));
    let diagnostic = Diagnostic::error(Code::Syntax, message).at(span, "");
    Box::new(match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    })
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
            "a value with `: ` in it needs quotes; else look at the indentation of this line",
        ),
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation => (
            "this line belongs to nothing above it".to_owned(),
            "fields of one map stand in one column, and so do the `-` of one list",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            return (None, Some("a field is written `name: value`; look at the line before, too"));
        }
        _ => return (None, None),
    };
    (Some(message), Some(help))
}

/// A NUL byte: no text file has one, and few tools survive it.
pub(super) fn nul(file: u32, text: &str, at: usize) -> Stop {
    let before = &text[..at];
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let span = Span {
        file,
        start: number(at),
        end: number(at + 1),
        line: number(before.matches('\n').count() + 1),
        column: number(before[line_start..].chars().count() + 1),
    };
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
    Box::new(Diagnostic::error(Code::TooLarge, message).at(span, ""))
}

pub(super) fn too_many_nodes(code: Code, span: Span) -> Stop {
    let message = match code {
        Code::TooManyAliases => "anchors and aliases grow to more than a million values".to_owned(),
        _ => "more than a million values in one file".to_owned(),
    };
    Box::new(Diagnostic::error(code, message).at(span, "it goes over the limit here"))
}

pub(super) fn too_many_aliases(span: Span) -> Stop {
    let message = format!("more than {ALIASES_MAX} aliases in one file");
    Box::new(Diagnostic::error(Code::TooManyAliases, message).at(span, ""))
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
    Diagnostic::error(Code::UnsupportedYaml, message).at(span, "")
}

fn stop(code: Code, message: String, span: Span, help: &str) -> Stop {
    Box::new(Diagnostic::error(code, message).at(span, "").help(help))
}
