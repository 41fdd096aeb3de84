//! The tree: JSON's kinds of values, keys in the order of the file, a span on everything.

use serde_json::{Map, Number};

use crate::diag::Span;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// The key of a field, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// Fields, each key once.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The fields of a map; none of anything else.
    pub fn fields(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The entries of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Seq(items) => items,
            _ => &[],
        }
    }

    /// A field with its key; one that is `null` is not there.
    pub fn field(&self, name: &str) -> Option<(&Key, &Node)> {
        let (key, node) = self.fields().iter().find(|(key, _)| key.text == name)?;
        (node.value != Value::Null).then_some((key, node))
    }

    /// The value of a field; one that is `null` is not there.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.field(name).map(|(_, node)| node)
    }

    /// The text, when it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value it is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "empty",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::String(text) => text.clone().into(),
            Value::Seq(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(fields) => {
                let fields = fields.iter().map(|(key, node)| (key.text.clone(), node.to_json()));
                serde_json::Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// How many nodes the tree has, itself included.
    pub fn count(&self) -> usize {
        let fields = self.fields().iter().map(|(_, node)| node);
        1 + self.items().iter().chain(fields).map(Node::count).sum::<usize>()
    }
}
