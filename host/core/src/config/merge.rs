//! The overlay over the base.
//!
//! Maps merge deeply, lists and scalars replace, an explicit `null` removes. Every value keeps its span.

use std::collections::BTreeMap;

use crate::yaml::{Key, Node, Value};

/// One tree out of two, without any `null` that stands for a field. What both have takes the overlay's key.
pub fn merge(base: Node, overlay: Node) -> Node {
    merge_onto(without_nulls(base), overlay)
}

/// The base has no `null` any more, so each part of either tree is walked once.
fn merge_onto(base: Node, overlay: Node) -> Node {
    match (base.value, overlay.value) {
        (Value::Map(base), Value::Map(fields)) => {
            Node { span: overlay.span, value: Value::Map(merge_fields(base, fields)) }
        }
        (_, value) => without_nulls(Node { span: overlay.span, value }),
    }
}

fn merge_fields(base: Vec<(Key, Node)>, overlay: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
    let places: BTreeMap<String, usize> =
        base.iter().enumerate().map(|(place, (key, _))| (key.text.clone(), place)).collect();
    let mut slots: Vec<Option<(Key, Node)>> = base.into_iter().map(Some).collect();
    for (key, node) in overlay {
        let place = places.get(&key.text).copied();
        let below = place.and_then(|place| slots[place].take()).map(|(_, node)| node);
        let merged = match (below, node.value == Value::Null) {
            (_, true) => None,
            (Some(below), false) => Some((key, merge_onto(below, node))),
            (None, false) => Some((key, without_nulls(node))),
        };
        match place {
            Some(place) => slots[place] = merged,
            None => slots.push(merged),
        }
    }
    slots.into_iter().flatten().collect()
}

/// The tree without fields that are `null`; entries of lists stay.
pub(super) fn without_nulls(node: Node) -> Node {
    let value = match node.value {
        Value::Map(fields) => {
            let kept = fields.into_iter().filter(|(_, node)| node.value != Value::Null);
            Value::Map(kept.map(|(key, node)| (key, without_nulls(node))).collect())
        }
        other => other,
    };
    Node { span: node.span, value }
}
