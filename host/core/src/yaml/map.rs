//! The end of a map: keys given twice are reported, merge keys are followed.

use std::collections::BTreeMap;

use super::tree::{Key, Node, Value};
use crate::diag::{Code, Diagnostic, Problems, Span};

/// The fields of a map. The first of two equal keys stays, and its own keys win over merged ones.
pub(super) fn finish(
    entries: Vec<(Key, Node)>,
    merges: Vec<(Span, Node)>,
    problems: &mut Problems,
) -> Vec<(Key, Node)> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut fields = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        match seen.get(&key.text) {
            // A key that is no text was already reported.
            Some(_) if key.text.is_empty() => {}
            Some(&first) => problems.add(|| given_twice(&key.text, key.span, first)),
            None => {
                seen.insert(key.text.clone(), key.span);
                fields.push((key, node));
            }
        }
    }
    if let Some((again, first)) = merges.get(1).zip(merges.first()) {
        problems.add(|| given_twice("<<", again.0, first.0));
    }
    for (_, node) in merges {
        let sources = match node.value {
            Value::Seq(items) => items,
            _ => vec![node],
        };
        for source in sources {
            let Value::Map(merged) = source.value else {
                problems.add(|| not_mergeable(&source));
                continue;
            };
            for (key, node) in merged {
                if let std::collections::btree_map::Entry::Vacant(free) =
                    seen.entry(key.text.clone())
                {
                    free.insert(key.span);
                    fields.push((key, node));
                }
            }
        }
    }
    fields
}

fn given_twice(key: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error(Code::DuplicateKey, format!("`{key}` is given twice"))
        .at(again, "again here")
        .at(first, "first here")
        .help("keep one of them")
}

fn not_mergeable(node: &Node) -> Diagnostic {
    let message = format!("`<<` takes a map or a list of maps, not {}", node.kind());
    Diagnostic::error(Code::WrongType, message)
        .at(node.span, "")
        .help("name an anchored map: `<<: *common`")
}
