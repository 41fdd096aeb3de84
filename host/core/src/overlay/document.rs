//! An overlay's text with the places of its top-level keys.
//!
//! The parser says where the keys are; the text is only ever cut at the start of a line.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;
use serde_saphyr::options::{MergeKeyPolicy, NonFiniteFloatPolicy};

use super::{OverlayError, block};
use crate::state::{STATE_VERSION, State};
use crate::text::printable;

const KEY: &str = "_state";
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// How deep the overlay may be nested: no deeper than the configuration's reader goes, which reads the block too.
const DEPTH_MAX: usize = 64;
const ALIASES_MAX: usize = 500;
const MESSAGE_CHARS_MAX: usize = 300;

/// A text and what stands at its top level.
pub(super) struct Document<'text> {
    text: &'text str,
    /// What stands at the top level, in the order of the text.
    entries: Vec<Entry>,
    /// The bytes of the `_state` block: whole lines.
    block: Option<Range<usize>>,
    /// Where the document ends: at a `...` line, or with the text.
    end: usize,
}

struct Entry {
    key: String,
    /// Where the key begins, in bytes.
    at: usize,
    value: Value,
}

impl<'text> Document<'text> {
    /// Parses a text; refuses what a block cannot be written into.
    pub(super) fn parse(text: &'text str) -> Result<Self, OverlayError> {
        let Root(entries) = parse_root(text)?;
        if root_is_in_braces(text) {
            return Err(OverlayError::FlowRoot);
        }
        if entries.first().is_some_and(|first| is_indented(text, first.at)) {
            return Err(OverlayError::Indented);
        }
        let end = document_end(text, &entries);
        let block = match entries.iter().position(|entry| entry.key == KEY) {
            Some(index) => {
                let start = entries[index].at;
                if start != line_start(text, start) {
                    return Err(OverlayError::Indented);
                }
                let next = entries.get(index + 1).map_or(end, |next| line_start(text, next.at));
                Some(start..content_end(text, start..next))
            }
            None => None,
        };
        Ok(Self { text, entries, block, end })
    }

    /// The state in the block.
    pub(super) fn state(&self) -> Result<Option<State>, OverlayError> {
        let value = self.entries.iter().find(|entry| entry.key == KEY).map(|entry| &entry.value);
        let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
        match value.get("version").and_then(Value::as_u64) {
            Some(found) if found > u64::from(STATE_VERSION) => Err(OverlayError::Newer { found }),
            _ => State::deserialize(value).map(Some).map_err(|error| {
                OverlayError::Damaged(printable(&error.to_string(), MESSAGE_CHARS_MAX))
            }),
        }
    }

    /// Every other top-level key with its value.
    pub(super) fn others(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .filter(|entry| entry.key != KEY)
            .map(|entry| (entry.key.as_str(), &entry.value))
    }

    /// The text without the block.
    pub(super) fn without_block(&self) -> String {
        let Some(block) = self.block.clone() else { return self.text.to_owned() };
        let (before, after) = (&self.text[..block.start], &self.text[block.end..]);
        // A block that ends the text without a line ending took the place of the text's own end.
        let before = if self.is_unterminated(&block) {
            before.strip_suffix(line_ending(self.text)).unwrap_or(before)
        } else {
            before
        };
        format!("{before}{after}")
    }

    /// The text with the block put in the place of the old one, or at the document's end.
    pub(super) fn with_block(&self, state: &State) -> Result<String, OverlayError> {
        let line_ending = line_ending(self.text);
        let mut block = block::render(state);
        if line_ending != "\n" {
            block = block.replace('\n', line_ending);
        }
        let place = self.block.clone().unwrap_or(self.end..self.end);
        let (before, after) = (&self.text[..place.start], &self.text[place.end..]);
        let joint = if is_line_start(before) { "" } else { line_ending };
        if !joint.is_empty() || self.is_unterminated(&place) {
            block.truncate(block.len() - line_ending.len());
        }
        Ok(format!("{before}{joint}{block}{after}"))
    }

    /// Whether these lines end the text without a line ending.
    fn is_unterminated(&self, lines: &Range<usize>) -> bool {
        !lines.is_empty() && lines.end == self.text.len() && !self.text.ends_with('\n')
    }
}

struct Root(Vec<Entry>);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RootVisitor)
    }
}

struct RootVisitor;

impl<'de> Visitor<'de> for RootVisitor {
    type Value = Root;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a mapping at the top level")
    }

    fn visit_unit<E>(self) -> Result<Root, E> {
        Ok(Root(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let place = key.referenced.span().byte_offset().and_then(|at| usize::try_from(at).ok());
            let at = place.ok_or_else(|| A::Error::custom("a key has no place in the text"))?;
            entries.push(Entry { key: key.value, at, value: map.next_value()? });
        }
        Ok(Root(entries))
    }
}

/// Aliases are resolved; a merge key stays a key, so that every entry has its own place.
fn parse_root(text: &str) -> Result<Root, OverlayError> {
    let options = serde_saphyr::options! {
        // Every node takes at least a byte, so these limits never meet an honest file.
        budget: serde_saphyr::budget! {
            max_nodes: text.len().saturating_add(1),
            max_events: text.len().saturating_mul(2).saturating_add(8),
            // `!!str` stands for a longer name.
            max_total_scalar_bytes: text.len().saturating_mul(16).saturating_add(1024),
            max_aliases: ALIASES_MAX,
            max_depth: DEPTH_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1_000_000 },
        merge_keys: MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        // A snippet would print values of the file.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| match error {
        serde_saphyr::Error::MultipleDocuments { .. } => OverlayError::MultipleDocuments,
        other => OverlayError::Syntax(printable(&other.to_string(), MESSAGE_CHARS_MAX)),
    })
}

/// Each line with its line ending, and where it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |next, line| {
        let at = *next;
        *next += line.len();
        Some((at, line))
    })
}

fn root_is_in_braces(text: &str) -> bool {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let content = text.lines().find_map(|line| {
        let line = line.strip_prefix("---").unwrap_or(line).trim_start();
        let is_content = !line.is_empty() && !line.starts_with(['#', '%']);
        is_content.then_some(line)
    });
    content.is_some_and(|line| line.starts_with('{'))
}

/// Where the line begins in which this byte stands; after a byte order mark.
fn line_start(text: &str, at: usize) -> usize {
    match text[..at].rfind('\n') {
        Some(line_ending) => line_ending + 1,
        None if text.starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
        None => 0,
    }
}

fn is_indented(text: &str, at: usize) -> bool {
    text[line_start(text, at)..].starts_with([' ', '\t'])
}

/// Where the document ends: at the `...` line after all keys, or with the text.
fn document_end(text: &str, entries: &[Entry]) -> usize {
    let from = entries.last().map_or(0, |last| last.at);
    lines(text)
        .filter(|(at, _)| *at > from || entries.is_empty())
        .find(|(_, line)| {
            line.strip_prefix("...").is_some_and(|rest| rest.trim_start().len() < rest.len())
                || *line == "..."
        })
        .map_or(text.len(), |(at, _)| at)
}

/// The end of the last line in this part of the text that is neither blank nor a comment.
fn content_end(text: &str, part: Range<usize>) -> usize {
    let is_content = |line: &str| !matches!(line.trim_start().chars().next(), None | Some('#'));
    lines(&text[part.clone()])
        .filter(|(_, line)| is_content(line))
        .last()
        .map_or(part.end, |(at, line)| part.start + at + line.len())
}

fn line_ending(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

fn is_line_start(before: &str) -> bool {
    before.is_empty() || before == BYTE_ORDER_MARK || before.ends_with('\n')
}
