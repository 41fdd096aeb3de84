//! YAML text → a tree in which every node knows where it was written.
//!
//! Reads the YAML 1.2 core schema with anchors, aliases and merge keys, one document with fields at its root.
//! Bounded in size, depth and alias growth, and linear in all of them. Knows nothing of what the fields mean.

mod faults;
mod map;
mod scalar;
mod tree;

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use crate::diag::{Code, Problems, SourceFile, Span};
use faults::Stop;

pub use tree::{Key, Node, Value};

/// How many nodes a file may have, those that aliases repeat included.
pub const NODES_MAX: usize = 1_000_000;
/// How deep they may be nested.
pub const DEPTH_MAX: usize = 64;
/// How many aliases it may have.
pub const ALIASES_MAX: usize = 500;

/// Reads the file with the given index; `None` when there is no tree to go on with. A tree may come with
/// problems: then a key was given twice, or a number was not clear, and the first or the text stands in.
pub fn parse(index: u32, file: &SourceFile, problems: &mut Problems) -> Option<Node> {
    if let Some(problem) = file.problem(index) {
        problems.add(|| problem);
        return None;
    }
    let mut builder = Builder::new(index, file, problems);
    match builder.document() {
        Ok(root) => builder.sound.then_some(root),
        Err(stop) => {
            builder.problems.add(|| faults::last(*stop));
            None
        }
    }
}

/// A collection that is not closed yet.
struct Open {
    span: Span,
    anchor: usize,
    height: usize,
    weight: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key>, merges: Vec<(Span, Node)>, is_merge: bool },
}

/// A finished node with what an alias to it would cost.
#[derive(Clone)]
struct Made {
    node: Node,
    height: usize,
    weight: usize,
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    index: u32,
    file: &'a SourceFile,
    problems: &'a mut Problems,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Made>,
    aliases: usize,
    weight: usize,
    sound: bool,
}

impl<'a> Builder<'a> {
    fn new(index: u32, file: &'a SourceFile, problems: &'a mut Problems) -> Self {
        let mut options = granit_parser::options! {
            emit_unresolved_aliases: true,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        options.set_emit_comments(false);
        Self {
            parser: Parser::new_from_str_with_options(&file.text, options),
            index,
            file,
            problems,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            aliases: 0,
            weight: 0,
            sound: true,
        }
    }

    /// Reads the whole stream.
    fn document(&mut self) -> Result<Node, Stop> {
        if let Some(at) = self.file.text.find('\0') {
            return Err(faults::nul(self.index, &self.file.text, at));
        }
        let mut root = None;
        while let Some(event) = self.parser.next_event() {
            let (event, span) =
                event.map_err(|error| faults::syntax(self.index, &self.file.text, &error))?;
            let span = span_of(self.index, span.start, span.end);
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(faults::second_document(span));
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) => {}
                event => root = self.event(event, span)?.or(root),
            }
        }
        match root {
            Some(root) if matches!(root.value, Value::Map(_)) => Ok(root),
            Some(Node { value: Value::Null, .. }) | None => {
                Err(faults::empty(self.index, &self.file.name))
            }
            Some(node) => Err(faults::not_a_map(&node)),
        }
    }

    /// Takes one event; gives the root when it is complete.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<Option<Node>, Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), span)
            }
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                self.sound = false;
                self.problems.add(|| faults::unknown_anchor(&name, span));
                let node = Node { span, value: Value::String(name.into_owned()) };
                Ok(self.place(Made { node, height: 0, weight: 1 }))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", span);
                self.start(span, anchor, Content::Seq(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", span);
                let (entries, merges) = (Vec::new(), Vec::new());
                self.start(
                    span,
                    anchor,
                    Content::Map { entries, key: None, merges, is_merge: false },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            _ => Ok(None),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Option<Node>, Stop> {
        let weight = 1 + text.len() / 64;
        self.spend(weight, span, Code::TooLarge)?;
        let is_merge = style == ScalarStyle::Plain && text == "<<";
        let value = if self.wants_key(is_merge) && tag.is_none() {
            // Keys are text however they look: `8080:` and `true:` are names here.
            Value::String(text.to_owned())
        } else {
            scalar::resolve(text, style, tag).unwrap_or_else(|fault| {
                self.sound &= fault.is_number();
                self.problems.add(|| fault.diagnostic(text, span));
                Value::String(text.to_owned())
            })
        };
        let made = Made { node: Node { span, value }, height: 0, weight };
        self.keep(anchor, &made)?;
        Ok(self.place(made))
    }

    /// Whether the next node is a key; remembers whether it is a plain `<<`.
    fn wants_key(&mut self, merge: bool) -> bool {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Map { key: None, is_merge, .. }) => {
                *is_merge = merge;
                true
            }
            _ => false,
        }
    }

    fn start(&mut self, span: Span, anchor: usize, content: Content) -> Result<Option<Node>, Stop> {
        self.spend(1, span, Code::TooLarge)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(faults::too_deep(span));
        }
        self.open.push(Open { span, anchor, height: 1, weight: 1, content });
        Ok(None)
    }

    fn end(&mut self, end: Span) -> Result<Option<Node>, Stop> {
        let Some(Open { mut span, anchor, height, weight, content }) = self.open.pop() else {
            unreachable!("the parser closes only what it opened");
        };
        span.end = span.end.max(end.end);
        let value = match content {
            Content::Seq(items) => Value::Seq(items),
            Content::Map { entries, merges, .. } => {
                Value::Map(map::finish(entries, merges, self.problems))
            }
        };
        let made = Made { node: Node { span, value }, height, weight };
        self.keep(anchor, &made)?;
        Ok(self.place(made))
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Option<Node>, Stop> {
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            return Err(faults::too_many_aliases(span));
        }
        // An anchor that is not kept yet belongs to a collection that is still open.
        let made = self.anchors.get(&id).ok_or_else(|| faults::contains_itself(span))?;
        if self.open.len() + made.height > DEPTH_MAX {
            return Err(faults::too_deep(span));
        }
        // Paid before the copy is made, so that a bomb costs nothing.
        let weight = made.weight;
        self.spend(weight, span, Code::TooManyAliases)?;
        self.wants_key(false);
        let made = self.anchors[&id].clone();
        Ok(self.place(made))
    }

    /// Remembers a copy for aliases. It is paid for, or nested anchors would multiply memory.
    fn keep(&mut self, anchor: usize, made: &Made) -> Result<(), Stop> {
        if anchor != 0 {
            self.spend(made.weight, made.node.span, Code::TooManyAliases)?;
            self.anchors.insert(anchor, made.clone());
        }
        Ok(())
    }

    fn spend(&mut self, weight: usize, span: Span, code: Code) -> Result<(), Stop> {
        self.weight += weight;
        if self.weight > NODES_MAX { Err(faults::too_many_nodes(code, span)) } else { Ok(()) }
    }

    /// Puts a finished node where it belongs; gives it back when it is the root.
    fn place(&mut self, made: Made) -> Option<Node> {
        let Some(open) = self.open.last_mut() else { return Some(made.node) };
        open.height = open.height.max(made.height + 1);
        open.weight += made.weight;
        match &mut open.content {
            Content::Seq(items) => items.push(made.node),
            Content::Map { entries, key, merges, is_merge } => match key.take() {
                Some(key) if *is_merge => merges.push((key.span, made.node)),
                Some(key) => entries.push((key, made.node)),
                None => {
                    let span = made.node.span;
                    let text = match made.node.value {
                        Value::String(text) if !text.is_empty() => text,
                        _ => {
                            self.sound = false;
                            self.problems.add(|| faults::not_a_key(span));
                            String::new()
                        }
                    };
                    *key = Some(Key { text, span });
                }
            },
        }
        None
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, span: Span) {
        // A collection in the place of a key is never a merge key.
        self.wants_key(false);
        let Some(tag) = tag else { return };
        if tag.core_suffix() != Some(expected) && tag.original() != "!" {
            self.sound = false;
            self.problems.add(|| scalar::unknown_tag(&tag.original(), span));
        }
    }
}

/// The parser's markers as a span.
fn span_of(file: u32, start: Marker, end: Marker) -> Span {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Span {
        file,
        start: number(start.byte_offset().unwrap_or(0)),
        end: number(end.byte_offset().unwrap_or(0)),
        line: number(start.line()),
        column: number(start.col() + 1),
    }
}
