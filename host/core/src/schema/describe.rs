//! A schema and a value in words: "a whole number from 1 to 65535", "\"3000\"".

use serde_json::Value;

use super::reference::follow;
use crate::text::printable;

/// How many alternatives are listed.
const ALTERNATIVES_MAX: usize = 12;
/// How deep alternatives of alternatives are described.
const DEPTH_MAX: usize = 3;

/// What a schema takes, as it fits after "must be"; `None` when that cannot be said in a few words.
pub(super) fn schema(root: &Value, schema: &Value) -> Option<String> {
    describe(root, schema, 0)
}

fn describe(root: &Value, schema: &Value, depth: usize) -> Option<String> {
    if depth > DEPTH_MAX {
        return None;
    }
    let schema = follow(root, schema);
    if let Some(constant) = schema.get("const") {
        return Some(value(constant));
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return Some(alternatives(options.iter().map(value).collect()));
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(word).and_then(Value::as_array) {
            if branches.len() > ALTERNATIVES_MAX {
                return None;
            }
            let parts: Option<Vec<String>> =
                branches.iter().map(|branch| describe(root, branch, depth + 1)).collect();
            return parts.map(alternatives);
        }
    }
    match schema.get("type")? {
        Value::String(kind) => Some(of_type(root, schema, kind, depth)),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            Some(alternatives(kinds.map(|kind| of_type(root, schema, kind, depth)).collect()))
        }
        _ => None,
    }
}

fn of_type(root: &Value, schema: &Value, kind: &str, depth: usize) -> String {
    match kind {
        "integer" => format!("a whole number{}", bounds(schema)),
        "number" => format!("a number{}", bounds(schema)),
        "string" => format!("text{}", text_rules(schema)),
        "boolean" => "true or false".to_owned(),
        "array" => {
            let entry = schema.get("items").and_then(|items| describe(root, items, depth + 1));
            let of = entry.map(|entry| format!(", each {entry}")).unwrap_or_default();
            format!("a list{}{of}", sizes(schema, "minItems", "maxItems", "entries"))
        }
        "object" => format!("a map{}", sizes(schema, "minProperties", "maxProperties", "fields")),
        "null" => "nothing".to_owned(),
        other => format!("`{}`", printable(other, 40)),
    }
}

fn bounds(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number());
    let mut text = match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    };
    for (name, word) in [
        ("exclusiveMinimum", "above"),
        ("exclusiveMaximum", "below"),
        ("multipleOf", "divisible by"),
    ] {
        if let Some(limit) = bound(name) {
            text.push_str(&format!(" {word} {limit}"));
        }
    }
    text
}

fn text_rules(schema: &Value) -> String {
    let mut text = sizes(schema, "minLength", "maxLength", "characters");
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        text.push_str(&format!(" that matches `{}`", printable(pattern, 120)));
    }
    text
}

fn sizes(schema: &Value, least: &str, most: &str, unit: &str) -> String {
    let size = |name: &str| schema.get(name).and_then(Value::as_u64).filter(|size| *size > 0);
    match (size(least), size(most)) {
        (Some(1), None) => " that is not empty".to_owned(),
        (Some(least), Some(most)) if least == most => format!(" of {least} {unit}"),
        (Some(least), Some(most)) => format!(" of {least} to {most} {unit}"),
        (Some(least), None) => format!(" of at least {least} {unit}"),
        (None, Some(most)) => format!(" of at most {most} {unit}"),
        (None, None) => String::new(),
    }
}

fn alternatives(mut parts: Vec<String>) -> String {
    parts.dedup();
    if parts.len() > ALTERNATIVES_MAX {
        let more = parts.len() - ALTERNATIVES_MAX;
        parts.truncate(ALTERNATIVES_MAX);
        return format!("one of {} or {more} others", parts.join(", "));
    }
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

/// A value, as it fits after "not".
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Object(_) => "a map".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "empty".to_owned(),
        other => printable(&other.to_string(), 60),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn describes_schemas() {
        for (given, said) in [
            (
                json!({"type": "integer", "minimum": 1, "maximum": 65535}),
                "a whole number from 1 to 65535",
            ),
            (json!({"type": "integer", "minimum": 0}), "a whole number of at least 0"),
            (json!({"type": "number", "exclusiveMinimum": 0}), "a number above 0"),
            (json!({"type": "string", "minLength": 1}), "text that is not empty"),
            (
                json!({"type": "string", "maxLength": 30, "pattern": "^a"}),
                "text of at most 30 characters that matches `^a`",
            ),
            (json!({"type": "boolean"}), "true or false"),
            (json!({"enum": ["a", "b", "c"]}), "\"a\", \"b\" or \"c\""),
            (json!({"type": ["string", "integer"]}), "text or a whole number"),
            (
                json!({"anyOf": [{"type": "boolean"}, {"const": "auto"}]}),
                "true or false or \"auto\"",
            ),
            (
                json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
                "a list that is not empty, each text",
            ),
            (json!({"type": "object"}), "a map"),
        ] {
            assert_eq!(schema(&given, &given).as_deref(), Some(said));
        }
        assert_eq!(schema(&json!({}), &json!({"not": {}})), None);
    }
}
