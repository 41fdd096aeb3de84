//! The layout of the `_state` block: one line per field, every value JSON, nothing nested over lines.
//!
//! JSON on one line is YAML too, so attributes of any shape cannot break the indentation, and a line that changed
//! is a field that changed.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::state::State;

/// How many levels are written as lines: the state, its services, and each service's fields.
const LEVELS: usize = 3;
/// The level whose keys are names of the user, not of ours; they are quoted, since `null` or `on` is a valid one.
const SERVICES: usize = 2;

/// The block with `\n` as line ending, also at its end.
pub(super) fn render(state: &State) -> String {
    let mut text = b"_state:\n  # written by ss; do not edit".to_vec();
    let mut serializer = Serializer::with_formatter(&mut text, Layout::default());
    state.serialize(&mut serializer).expect("a state is JSON and a vector takes all bytes");
    text.push(b'\n');
    // The formatter cannot know that an object of lines follows the colon. No text holds a bare line ending.
    String::from_utf8(text).expect("JSON is UTF-8").replace(": \n", ":\n")
}

#[derive(Default)]
struct Layout {
    /// How many objects of lines are open.
    level: usize,
    /// How many collections on one line are open.
    flow: usize,
    /// Whether the innermost object of lines has no key yet.
    is_empty: bool,
    /// Whether a key that needs no quotes is being written.
    is_bare_key: bool,
}

impl Layout {
    fn is_lines(&self) -> bool {
        self.flow == 0
    }
}

impl Formatter for Layout {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.flow == 0 && self.level < LEVELS {
            self.level += 1;
            self.is_empty = true;
            return Ok(());
        }
        self.flow += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if !self.is_lines() {
            self.flow -= 1;
            return writer.write_all(b"}");
        }
        self.level -= 1;
        if std::mem::take(&mut self.is_empty) { writer.write_all(b"{}") } else { Ok(()) }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if self.is_lines() {
            self.is_empty = false;
            self.is_bare_key = self.level != SERVICES;
            return write!(writer, "\n{:indent$}", "", indent = 2 * self.level);
        }
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_bare_key = false;
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.flow += 1;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.flow -= 1;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_bare_key { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_bare_key { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, letter)| is_hidden(*letter)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(hidden))?;
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Characters that YAML does not allow, takes for a line ending, or that a reader cannot see. All are below U+10000.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
