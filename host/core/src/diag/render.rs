//! Diagnostics as plain text, the way rustc and cargo write them.
//!
//! Whatever the user's files hold, one line stays one line and nothing in it reaches the terminal raw.

use unicode_width::UnicodeWidthStr;

use super::{Diagnostic, Label, Severity, SourceFile, Span};
use crate::text::printable;

/// How many characters of a source line are shown.
const EXCERPT_MAX: usize = 120;
/// How many of them stand before the marked place when the line is cut.
const LEAD: usize = 40;
/// How long a sentence may get.
const SENTENCE_MAX: usize = 1_000;

/// All diagnostics as text, an empty line between them; empty when there are none.
///
/// `files` are in the order of [`Span::file`].
pub fn render(diagnostics: &[Diagnostic], files: &[SourceFile]) -> String {
    let parts: Vec<String> = diagnostics.iter().map(|one| render_one(one, files)).collect();
    parts.join("\n")
}

fn render_one(diagnostic: &Diagnostic, files: &[SourceFile]) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let message = printable(&diagnostic.message, SENTENCE_MAX);
    let mut text = format!("{severity}[{}]: {message}\n", diagnostic.code);
    let last_line = diagnostic.labels.iter().map(|label| label.span.line).max().unwrap_or(0);
    let margin = " ".repeat(last_line.to_string().len());
    for (number, label) in diagnostic.labels.iter().enumerate() {
        let arrow = if number == 0 { "-->" } else { ":::" };
        if let Some(file) = files.get(label.span.file as usize) {
            render_label(&mut text, label, file, arrow, &margin);
        }
    }
    if !diagnostic.help.is_empty() && !diagnostic.labels.is_empty() {
        text.push_str(&format!("{margin} |\n"));
    }
    for help in &diagnostic.help {
        text.push_str(&format!("{margin} = help: {}\n", printable(help, SENTENCE_MAX)));
    }
    text
}

fn render_label(text: &mut String, label: &Label, file: &SourceFile, arrow: &str, margin: &str) {
    let Span { line, column, .. } = label.span;
    let name = printable(&file.name, SENTENCE_MAX);
    text.push_str(&format!("{margin}{arrow} {name}:{line}:{column}\n"));
    let Some(excerpt) = Excerpt::of(label.span, &file.text) else { return };
    text.push_str(&format!("{margin} |\n"));
    let width = margin.len();
    text.push_str(format!("{line:>width$} | {}", excerpt.line).trim_end());
    text.push('\n');
    let carets = "^".repeat(excerpt.marked);
    let spaces = " ".repeat(excerpt.before);
    let said = printable(&label.text, SENTENCE_MAX);
    text.push_str(format!("{margin} | {spaces}{carets} {said}").trim_end());
    text.push('\n');
}

/// One source line, safe to print, and where its mark stands, in terminal columns.
struct Excerpt {
    line: String,
    before: usize,
    marked: usize,
}

impl Excerpt {
    /// `None` when the span does not belong to the text.
    fn of(span: Span, text: &str) -> Option<Self> {
        let (start, end) = (span.start as usize, span.end.max(span.start) as usize);
        let head = text.get(..start)?;
        let tail = text.get(start..)?;
        // Only a window around the mark is looked at: a line may be megabytes long.
        let is_break = |character: char| character == '\n' || character == '\r';
        let lead = head.chars().rev().take_while(|&character| !is_break(character));
        let available = lead.clone().take(EXCERPT_MAX).count();
        let (kept, cut_left) =
            if available < EXCERPT_MAX { (available, false) } else { (LEAD, true) };
        let before: Vec<char> = lead.take(kept).collect();
        let before: String = before.into_iter().rev().filter(|&c| c != '\u{feff}').collect();
        let room = EXCERPT_MAX - kept.min(EXCERPT_MAX - 1);
        let rest: String = tail.chars().take_while(|&c| !is_break(c)).take(room + 1).collect();
        let cut_right = rest.chars().count() > room;
        let after: String = rest.chars().take(room).collect();
        let marked = text.get(start..end).map_or(0, |marked| marked.len()).min(after.len());
        let marked = after.get(..marked).unwrap_or(&after).trim_end();
        let shown = |part: &str| printable(part, usize::MAX);
        let left = if cut_left { "…" } else { "" };
        let right = if cut_right { "…" } else { "" };
        Some(Self {
            line: format!("{left}{}{}{right}", shown(&before), shown(&after)).trim_end().to_owned(),
            before: left.width() + shown(&before).width(),
            marked: shown(marked).width().max(1),
        })
    }
}
