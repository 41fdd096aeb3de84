//! Which words a schema uses, and whether they mean the same in every dialect of JSON Schema since draft 6.
//!
//! Before a schema is used it is checked against the schema of schemas. That of the newest dialect is seven documents
//! that refer to one another, and building its validator costs more than all the rest of a small plan; that of draft 7 is
//! a sixth of it. Where both say the same of every value, the smaller one is asked.

use serde_json::Value;

/// Words that hold no schema.
const PLAIN: &[&str] = &[
    "type",
    "enum",
    "const",
    "required",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "title",
    "description",
    "default",
    "examples",
];
/// Words that hold one schema.
const ONE: &[&str] =
    &["additionalProperties", "propertyNames", "not", "items", "if", "then", "else"];
/// Words that hold a list of schemas.
const LIST: &[&str] = &["anyOf", "allOf", "oneOf"];
/// Words that hold schemas by name.
const NAMED: &[&str] = &["properties", "patternProperties"];

/// Whether every word means the same in draft 7 and in 2020-12: no references, no `format`, no word that only one of the
/// two knows, `items` only as one schema. A schema that names its dialect gets that one.
pub(super) fn is_common(schema: &Value) -> bool {
    let Value::Object(words) = schema else { return schema.is_boolean() };
    words.iter().all(|(word, value)| {
        let word = word.as_str();
        if ONE.contains(&word) {
            is_common(value)
        } else if LIST.contains(&word) {
            value.as_array().is_some_and(|schemas| schemas.iter().all(is_common))
        } else if NAMED.contains(&word) {
            value.as_object().is_some_and(|schemas| schemas.values().all(is_common))
        } else {
            PLAIN.contains(&word) || word.starts_with("x-")
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_between_dialects_is_not_common() {
        let common = json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
            "a": {"type": "array", "items": {"enum": [1, 2]}, "x-immutable": true},
            "$ref": {"anyOf": [{"pattern": "^a$"}, true]},
        }});
        assert!(is_common(&common));
        for differs in [
            json!({"$ref": "#"}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            json!({"items": [{"type": "string"}]}),
            json!({"properties": {"a": {"format": "email"}}}),
            json!({"anyOf": [{"prefixItems": []}]}),
            json!({"dependentRequired": {"a": ["b"]}}),
            json!({"dependencies": {"a": ["b"]}}),
            json!({"contains": {}, "minContains": 0}),
            json!({"unevaluatedProperties": false}),
            json!({"properties": []}),
        ] {
            assert!(!is_common(&differs), "{differs}");
        }
    }
}
