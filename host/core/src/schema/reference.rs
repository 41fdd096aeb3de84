//! References inside a schema, and the proof that following them comes to an end.

use std::collections::BTreeMap;

use serde_json::Value;

/// How many references may follow one another.
const CHAIN_MAX: usize = 32;
/// How large a schema may be with every reference written out.
const UNFOLDED_MAX: u64 = 100_000;

/// A schema with its own reference followed, when it has one.
pub(super) fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..CHAIN_MAX {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|text| at(root, text));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

fn at<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Refuses references that leave the schema, and schemas that unfold into something enormous: a few
/// references that each name the next one twice would keep a validator busy for ever.
pub(super) fn check(root: &Value) -> Result<(), String> {
    let mut walk = Walk { root, known: BTreeMap::new() };
    let size = walk.size(root, 0)?;
    if size > UNFOLDED_MAX {
        return Err("it unfolds to more than can be checked".to_owned());
    }
    Ok(())
}

struct Walk<'a> {
    root: &'a Value,
    /// Sizes by reference; `None` while one is being measured.
    known: BTreeMap<&'a str, Option<u64>>,
}

impl<'a> Walk<'a> {
    fn size(&mut self, value: &'a Value, chain: usize) -> Result<u64, String> {
        let mut size: u64 = 1;
        match value {
            Value::Array(items) => {
                for item in items {
                    size = size.saturating_add(self.size(item, chain)?);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let more =
                        match field.as_str().filter(|_| name.ends_with("Ref") || name == "$ref") {
                            Some(reference) => self.reference(name, reference, chain)?,
                            None => self.size(field, chain)?,
                        };
                    size = size.saturating_add(more);
                }
            }
            _ => {}
        }
        Ok(size)
    }

    fn reference(&mut self, name: &str, reference: &'a str, chain: usize) -> Result<u64, String> {
        if let Some(known) = self.known.get(reference) {
            // A schema that contains itself goes deeper only as the value does.
            return Ok(known.unwrap_or(1));
        }
        if chain == CHAIN_MAX {
            return Err(format!("more than {CHAIN_MAX} references follow one another"));
        }
        let target = at(self.root, reference)
            .filter(|_| name == "$ref")
            .ok_or_else(|| format!("`{reference}` refers to nothing inside it"))?;
        self.known.insert(reference, None);
        let size = self.size(target, chain + 1)?;
        self.known.insert(reference, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refuses_what_leaves_or_never_ends() {
        assert!(check(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})).is_ok());
        assert!(check(&json!({"properties": {"next": {"$ref": "#"}}})).is_ok());
        for outside in ["https://example.com/s.json", "#/nowhere", "other.json", "#anchor"] {
            assert!(check(&json!({"$ref": outside})).is_err(), "{outside}");
        }
        assert!(check(&json!({"$dynamicRef": "#x"})).is_err());
    }

    #[test]
    fn refuses_a_schema_bomb() {
        let mut defs = serde_json::Map::new();
        for level in 0..30 {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            defs.insert(format!("l{level}"), json!({"anyOf": [next, next]}));
        }
        defs.insert("l30".to_owned(), json!({"type": "string"}));
        let bomb = json!({"$ref": "#/$defs/l0", "$defs": defs});
        assert_eq!(check(&bomb), Err("it unfolds to more than can be checked".to_owned()));
    }
}
