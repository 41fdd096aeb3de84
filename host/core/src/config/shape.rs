//! One file against the table of fields: unknown fields, wrong types, broken names. All at once.

use std::collections::BTreeMap;

use super::FileKind;
use super::fields::{Field, Need, Place, ROOT, Shape};
use super::rule::Rule;
use crate::diag::{Code, Diagnostic, Problems, SourceFile, did_you_mean, phrase};
use crate::yaml::{Key, Node, Value};

/// Adds everything that is wrong with the shape of a file.
pub(super) fn check(root: &Node, kind: FileKind, file: &SourceFile, problems: &mut Problems) {
    let mut checker = Checker { kind, file, problems, path: Vec::new(), in_list: false };
    checker.check(root, &ROOT, root);
}

struct Checker<'a> {
    kind: FileKind,
    file: &'a SourceFile,
    problems: &'a mut Problems,
    path: Vec<&'a str>,
    /// Whether the value at hand is an entry of the list at the path.
    in_list: bool,
}

impl<'a> Checker<'a> {
    /// `owner` is where to point when the value itself has no place of its own.
    fn check(&mut self, node: &'a Node, shape: &'static Shape, owner: &Node) {
        if node.value == Value::Null {
            return;
        }
        match (shape, &node.value) {
            (Shape::Any, _) | (Shape::Bool, Value::Bool(_)) => {}
            (Shape::Text(rule), Value::String(text)) => self.check_text(node, *rule, text),
            (Shape::List(entry), Value::Seq(items)) => self.check_list(items, entry),
            (Shape::Object(fields), Value::Map(entries)) => {
                self.check_fields(entries, fields, false, owner);
            }
            (Shape::Open(fields), Value::Map(entries)) => {
                self.check_fields(entries, fields, true, owner);
            }
            (Shape::Map { key, value, each }, Value::Map(entries)) => {
                self.check_map(entries, *key, value, each);
            }
            _ => self.wrong_type(node, shape),
        }
    }

    fn check_text(&mut self, node: &Node, rule: Rule, text: &str) {
        if let Some((code, why)) = rule.broken(text) {
            let message = if why.starts_with('`') || code == Code::WrongVersion {
                why
            } else {
                format!("{} {why}", self.here())
            };
            let diagnostic = Diagnostic::error(code, message).at(node.span, "");
            self.problems.add(|| repaired(diagnostic, rule, text));
        }
    }

    fn check_list(&mut self, items: &'a [Node], entry: &'static Shape) {
        let mut seen = BTreeMap::new();
        for item in items {
            self.in_list = true;
            match item.value {
                Value::Null => self.wrong_type(item, entry),
                _ => self.check(item, entry, item),
            }
            self.in_list = false;
            let Some(text) = item.text() else { continue };
            let first = *seen.entry(text).or_insert(item.span);
            if first != item.span {
                let message = format!("{} names `{text}` twice", self.here());
                self.problems.add(|| {
                    Diagnostic::error(Code::RepeatedEntry, message)
                        .at(item.span, "again here")
                        .at(first, "first here")
                        .help("keep one of them")
                });
            }
        }
    }

    fn check_map(
        &mut self,
        entries: &'a [(Key, Node)],
        rule: Rule,
        value: &'static Shape,
        each: &str,
    ) {
        for (key, node) in entries {
            if let Some((code, why)) = rule.broken(&key.text) {
                let why = if why.starts_with('`') { why } else { format!("a name {why}") };
                let diagnostic =
                    Diagnostic::error(code, why).at(key.span, format!("this names {each}"));
                self.problems.add(|| repaired(diagnostic, rule, &key.text));
            }
            self.path.push(&key.text);
            self.check(node, value, node);
            self.path.pop();
        }
    }

    fn check_fields(
        &mut self,
        entries: &'a [(Key, Node)],
        fields: &'static [Field],
        open: bool,
        owner: &Node,
    ) {
        for (key, node) in entries {
            let field = fields.iter().find(|field| field.name == key.text);
            match field {
                Some(field) if self.belongs(field) => {
                    self.path.push(&key.text);
                    self.check(node, &field.shape, node);
                    self.path.pop();
                }
                Some(field) => self.wrong_file(key, field),
                None if open || (self.path.is_empty() && key.text.starts_with("x-")) => {}
                None => self.unknown(key, fields),
            }
        }
        for field in fields {
            let there = || {
                entries
                    .iter()
                    .any(|(key, node)| key.text == field.name && node.value != Value::Null)
            };
            if field.need == Need::Required && self.belongs(field) && !there() {
                self.missing(field, owner);
            }
        }
    }

    fn belongs(&self, field: &Field) -> bool {
        match field.place {
            Place::Both => true,
            Place::Base => self.kind == FileKind::Base,
            Place::Overlay => self.kind == FileKind::Overlay,
        }
    }

    fn unknown(&mut self, key: &Key, fields: &'static [Field]) {
        let place = self.place();
        let names: Vec<&'static str> =
            fields.iter().filter(|field| self.belongs(field)).map(|field| field.name).collect();
        self.problems.add(|| {
            let message = format!("`{}` is not a field of {place}", key.text);
            let diagnostic = Diagnostic::error(Code::UnknownField, message).at(key.span, "");
            let help = did_you_mean(&key.text, names.iter().copied())
                .unwrap_or_else(|| format!("its fields are {}", names.join(", ")));
            let diagnostic = diagnostic.help(help);
            match names.contains(&"target") && diagnostic.help[0].starts_with("its") {
                true => diagnostic.help("what a provisioner takes stands below `target`"),
                false => diagnostic,
            }
        });
    }

    fn wrong_file(&mut self, key: &Key, field: &Field) {
        let here = &self.file.name;
        let there = match self.kind {
            FileKind::Base => "the overlay, `starsystem.<env>.yaml`",
            FileKind::Overlay => "`starsystem.yaml`",
        };
        self.problems.add(|| {
            Diagnostic::error(
                Code::WrongFile,
                format!("`{}` does not belong in `{here}`", field.name),
            )
            .at(key.span, "")
            .help(format!("it belongs in {there}"))
        });
    }

    fn missing(&mut self, field: &Field, owner: &Node) {
        let place = self.place();
        self.problems.add(|| {
            let message = format!("{place} has no `{}`", field.name);
            let diagnostic = Diagnostic::error(Code::MissingField, message).at(owner.span, "");
            match &field.shape {
                Shape::Text(Rule::Version) => diagnostic.help("add `version: \"2\"`"),
                _ => diagnostic.help(format!("add `{}: …`: {}", field.name, phrase(field.doc))),
            }
        });
    }

    fn wrong_type(&mut self, node: &Node, shape: &'static Shape) {
        let wanted = describe(shape);
        let is_version = matches!(shape, Shape::Text(Rule::Version));
        let code = if is_version { Code::WrongVersion } else { Code::WrongType };
        let message = format!("{} must be {wanted}, not {}", self.here(), node.kind());
        let written = self.file.text.get(node.span.start as usize..node.span.end as usize);
        let place = self.path.last().copied().unwrap_or_default();
        self.problems.add(|| {
            let help = match (shape, &node.value, written) {
                (Shape::Text(rule), Value::Number(_) | Value::Bool(_), Some(written))
                    if rule.broken(written).is_none() =>
                {
                    format!("put it in quotes: \"{written}\"")
                }
                (Shape::Text(Rule::Version), ..) => "write `version: \"2\"`".to_owned(),
                (Shape::List(_), Value::String(text), _) if !text.contains(char::is_whitespace) => {
                    format!("write it as a list: [{text}]")
                }
                _ => how_to_write(shape, place, &node.value),
            };
            Diagnostic::error(code, message).at(node.span, "").help(help)
        });
    }

    /// The value at hand, as the user would call it.
    fn here(&self) -> String {
        match (self.path.is_empty(), self.in_list) {
            (true, _) => format!("`{}`", self.file.name),
            (false, true) => format!("an entry of `{}`", self.path.join(".")),
            (false, false) => format!("`{}`", self.path.join(".")),
        }
    }

    /// What the fields at hand are fields of.
    fn place(&self) -> String {
        match self.path.as_slice() {
            [] => format!("`{}`", self.file.name),
            ["services", id] => format!("the service `{id}`"),
            ["connections", name] => format!("the connection `{name}`"),
            path => format!("`{}`", path.join(".")),
        }
    }
}

fn repaired(diagnostic: Diagnostic, rule: Rule, text: &str) -> Diagnostic {
    if rule == Rule::Version {
        return diagnostic.help("write `version: \"2\"`, or use the `ss` that reads this version");
    }
    let repaired = rule.repaired(text).unwrap_or_else(|| rule.example().to_owned());
    diagnostic.help(format!("for example `{repaired}`"))
}

/// What a value of a shape looks like in the file.
fn how_to_write(shape: &Shape, name: &str, value: &Value) -> String {
    match (shape, value) {
        (Shape::Bool, Value::String(text)) if matches!(text.as_str(), "true" | "yes" | "on") => {
            "write `true`, without quotes".to_owned()
        }
        (Shape::Bool, Value::String(text)) if matches!(text.as_str(), "false" | "no" | "off") => {
            "write `false`, without quotes".to_owned()
        }
        (Shape::Bool, _) => format!("write `{name}: true` or `{name}: false`"),
        (Shape::Text(Rule::Any | Rule::NotEmpty), _) => "write one text".to_owned(),
        (Shape::Text(rule), _) => format!("write one text, for example `{}`", rule.example()),
        (Shape::List(entry), _) => format!("write `{name}: [{}]`", example(entry)),
        (Shape::Map { key, value, .. }, _) => {
            format!("write `{name}: {{ {}: {} }}`", key.example(), example(value))
        }
        (Shape::Object(fields) | Shape::Open(fields), _) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            format!("write its fields: {}", names.join(", "))
        }
        (Shape::Any, _) => "any value fits".to_owned(),
    }
}

fn example(shape: &Shape) -> String {
    match shape {
        Shape::Text(rule) => rule.example().to_owned(),
        Shape::List(entry) => format!("[{}]", example(entry)),
        Shape::Bool => "true".to_owned(),
        _ => "{ … }".to_owned(),
    }
}

fn describe(shape: &Shape) -> &'static str {
    match shape {
        Shape::Any => "anything",
        Shape::Text(Rule::Version) => "the text \"2\"",
        Shape::Text(_) => "text",
        Shape::Bool => "true or false",
        Shape::List(_) => "a list",
        Shape::Object(_) | Shape::Open(_) | Shape::Map { .. } => "a map",
    }
}
