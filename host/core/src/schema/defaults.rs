//! What a schema says of its fields beside what they may be: defaults, and which cannot change in place.

use std::collections::BTreeSet;

use serde_json::Value;

use super::reference::follow;

/// How deep nested objects are followed: a schema may contain itself.
const DEPTH_MAX: usize = 16;
/// How many fields are filled in or looked at; a schema may contain itself ten times over.
const FIELDS_MAX: usize = 10_000;

/// The fields with the schema's defaults put in where nothing is said, in nested objects too.
pub(super) fn fill(schema: &Value, fields: &Value) -> Value {
    let mut filled = fields.clone();
    let mut left = FIELDS_MAX;
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
    let mut walk =
        Walk { root: schema, path: Vec::new(), found: BTreeSet::new(), left: FIELDS_MAX };
    walk.properties(schema);
    walk.found
}

struct Walk<'a> {
    root: &'a Value,
    path: Vec<&'a str>,
    found: BTreeSet<String>,
    left: usize,
}

impl<'a> Walk<'a> {
    fn properties(&mut self, schema: &'a Value) {
        if self.path.len() >= DEPTH_MAX {
            return;
        }
        for (name, property) in properties(self.root, schema).into_iter().flatten() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.path.push(name);
            let says = |schema: &Value| schema.get("x-immutable") == Some(&Value::Bool(true));
            if says(property) || says(follow(self.root, property)) {
                self.found.insert(self.path.join("."));
            } else {
                self.properties(property);
            }
            self.path.pop();
        }
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
        let itself = json!({"$ref": "#", "default": {}});
        let properties: serde_json::Map<String, Value> =
            ('a'..'k').map(|name| (name.to_string(), itself.clone())).collect();
        let schema = json!({"properties": properties});
        assert!(fill(&schema, &json!({})).to_string().len() < 1_000_000);
        assert!(immutable_paths(&schema).is_empty());
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
