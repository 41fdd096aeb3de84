//! The table of fields as JSON Schema, for editors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::FileKind;
use super::fields::{Field, Need, Place, ROOT, Shape, TARGET};
use super::rule::Rule;

/// The JSON Schema of one of the two files. `targets` holds the schemas of the target types that are installed;
/// fields of other types are not restricted.
pub fn json_schema(kind: FileKind, targets: &BTreeMap<String, Value>) -> Value {
    let writer = Writer { kind, targets };
    let mut schema = writer.shape(&ROOT);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = match kind {
        FileKind::Base => "starsystem.yaml".into(),
        FileKind::Overlay => "starsystem.<env>.yaml".into(),
    };
    schema["patternProperties"] = json!({"^x-": {}});
    schema
}

struct Writer<'a> {
    kind: FileKind,
    targets: &'a BTreeMap<String, Value>,
}

impl Writer<'_> {
    fn shape(&self, shape: &Shape) -> Value {
        match shape {
            Shape::Any => json!({}),
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Text(Rule::Version) => json!({"const": "2"}),
            Shape::Text(rule) => text(*rule),
            Shape::List(entry) => {
                json!({"type": "array", "items": self.shape(entry), "uniqueItems": true})
            }
            Shape::Object(fields) => self.object(fields, false),
            Shape::Open(fields) if std::ptr::eq(*fields, TARGET) => self.target(fields),
            Shape::Open(fields) => self.object(fields, true),
            Shape::Map { key, value, .. } => {
                let mut names = text(*key);
                names.as_object_mut().map(|names| names.remove("type"));
                json!({"type": "object", "propertyNames": names, "additionalProperties": self.nullable(value)})
            }
        }
    }

    fn object(&self, fields: &[Field], open: bool) -> Value {
        let here = |field: &&Field| match field.place {
            Place::Both => true,
            Place::Base => self.kind == FileKind::Base,
            Place::Overlay => self.kind == FileKind::Overlay,
        };
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in fields.iter().filter(here) {
            let needed = match field.need {
                Need::Required => true,
                Need::Merged => self.kind == FileKind::Base,
                Need::Optional => false,
            };
            if needed {
                required.push(field.name);
            }
            let mut property =
                if needed { self.shape(&field.shape) } else { self.nullable(&field.shape) };
            property["description"] = field.doc.into();
            properties.insert(field.name.to_owned(), property);
        }
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": open})
    }

    /// Nothing said, or `null` to take away what the base says.
    fn nullable(&self, shape: &Shape) -> Value {
        let mut schema = self.shape(shape);
        if let Some(kind) = schema.get("type").cloned() {
            // One schema rather than two alternatives: editors complete and explain what is wrong more exactly.
            schema["type"] = json!([kind, "null"]);
        }
        schema
    }

    /// A target: its own fields, and by its type those of the provisioner.
    fn target(&self, fields: &[Field]) -> Value {
        let mut target = self.object(fields, true);
        let of_type = self.targets.iter().map(|(kind, schema)| {
            json!({
                "if": {"type": "object", "properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": with_own_fields(kind, schema, fields),
            })
        });
        target["allOf"] = of_type.collect();
        // Other types are allowed: a provisioner may be installed later.
        let known = self.targets.keys().map(|kind| json!({"const": kind}));
        let kinds = &mut target["properties"]["type"];
        let other = json!({"type": kinds["type"], "pattern": kinds["pattern"]});
        kinds["anyOf"] = known.chain([other]).collect();
        target
    }
}

/// A provisioner's schema knows nothing of `type` and `credential_env`; strict ones would refuse them. Its
/// references go on meaning its own root.
fn with_own_fields(kind: &str, schema: &Value, fields: &[Field]) -> Value {
    let has_references = schema.to_string().contains("\"$ref\"");
    let mut schema = schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        if has_references {
            let id = || format!("urn:starsystem:target:{kind}").into();
            schema.entry("$id").or_insert_with(id);
        }
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            for field in fields {
                properties.entry(field.name).or_insert_with(|| json!({}));
            }
        }
    }
    schema
}

fn text(rule: Rule) -> Value {
    match rule.pattern() {
        Some(pattern) => json!({"type": "string", "pattern": pattern}),
        None => json!({"type": "string"}),
    }
}
