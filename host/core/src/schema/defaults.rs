//! What a schema says of its fields beside what they may be: defaults, and which cannot change in place.

use std::collections::BTreeSet;

use serde_json::Value;

use super::reference::follow;

/// How deep nested objects are followed: a schema may contain itself.
const DEPTH_MAX: usize = 16;
/// How many defaults are filled in; a schema may contain itself twice.
const DEFAULTS_MAX: usize = 10_000;

/// The fields with the schema's defaults put in where nothing is said, in nested objects too.
pub(super) fn fill(schema: &Value, fields: &Value) -> Value {
    let mut filled = fields.clone();
    let mut left = DEFAULTS_MAX;
    fill_object(schema, schema, &mut filled, 0, &mut left);
    filled
}

fn fill_object(root: &Value, schema: &Value, value: &mut Value, depth: usize, left: &mut usize) {
    let (Value::Object(fields), true) = (value, depth < DEPTH_MAX) else { return };
    let Some(properties) = properties(root, schema) else { return };
    for (name, property) in properties {
        if !fields.contains_key(name) && *left > 0 {
            let default = property.get("default").or_else(|| follow(root, property).get("default"));
            if let Some(default) = default {
                *left -= 1;
                fields.insert(name.clone(), default.clone());
            }
        }
        if let Some(field) = fields.get_mut(name) {
            fill_object(root, property, field, depth + 1, left);
        }
    }
}

fn properties<'a>(
    root: &'a Value,
    schema: &'a Value,
) -> Option<&'a serde_json::Map<String, Value>> {
    follow(root, schema).get("properties")?.as_object()
}

/// Dotted paths of the properties that say `"x-immutable": true`.
pub(super) fn immutable_paths(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(schema, schema, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(
    root: &'a Value,
    schema: &'a Value,
    path: &mut Vec<&'a str>,
    found: &mut BTreeSet<String>,
) {
    if path.len() >= DEPTH_MAX || found.len() >= DEFAULTS_MAX {
        return;
    }
    for (name, property) in properties(root, schema).into_iter().flatten() {
        path.push(name);
        let says = |schema: &Value| schema.get("x-immutable") == Some(&Value::Bool(true));
        if says(property) || says(follow(root, property)) {
            found.insert(path.join("."));
        } else {
            collect(root, property, path, found);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_in_nested_defaults() {
        let schema = json!({
            "properties": {
                "port": {"default": 8080},
                "guest": {"$ref": "#/$defs/guest", "default": {}},
                "deep": {"properties": {"a": {"default": 1}}},
            },
            "$defs": {"guest": {"properties": {"cpus": {"default": 1}, "kind": {"default": "shared"}}}},
        });
        assert_eq!(
            fill(&schema, &json!({"app": "x", "guest": {"cpus": 4}})),
            json!({"app": "x", "port": 8080, "guest": {"cpus": 4, "kind": "shared"}})
        );
        assert_eq!(
            fill(&schema, &json!({"port": 1, "deep": {}})),
            json!({"port": 1, "deep": {"a": 1}, "guest": {"cpus": 1, "kind": "shared"}})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_comes_to_an_end() {
        let twice = json!({"$ref": "#", "default": {}, "x-immutable": true});
        let once = json!({"$ref": "#", "default": {}});
        let schema = json!({"properties": {"a": once, "b": once, "c": twice}});
        assert!(fill(&schema, &json!({})).to_string().len() < 1_000_000);
        assert!(immutable_paths(&schema).len() <= DEFAULTS_MAX);
    }

    #[test]
    fn finds_immutable_paths() {
        let schema = json!({"properties": {
            "region": {"x-immutable": true},
            "image": {"x-immutable": false},
            "disk": {"properties": {"kind": {"x-immutable": true}, "size": {}}},
        }});
        let paths: Vec<String> = immutable_paths(&schema).into_iter().collect();
        assert_eq!(paths, ["disk.kind", "region"]);
    }
}
