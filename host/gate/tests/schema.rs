//! The manifest's JSON Schema and its page are generated from the types that read it, and must be current.
//!
//! `UPDATE_EXPECT=1` rewrites them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use ss_gate::manifest::Manifest;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("host/gate").to_owned()
}

fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(Manifest)).expect("a schema is JSON")
}

fn current(path: &str, text: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, text).expect("the repository can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is not current: run this test with UPDATE_EXPECT=1", path.display());
}

#[test]
fn the_schema_is_current() {
    let text = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
    current("wit/provisioner-0.1/manifest.schema.json", &format!("{text}\n"));
}

#[test]
fn the_page_is_current() {
    let schema = schema();
    let mut page = String::from(
        "# The manifest\n\nWhat a provisioner says of itself: a JSON document that `manifest()` returns and a person can read. \
         This page is generated from the types that read it; \
         [the JSON Schema](../wit/provisioner-0.1/manifest.schema.json) is generated with it.\n",
    );
    section(&mut page, "Manifest", &schema);
    let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
    for name in [
        "Target",
        "Output",
        "Logs",
        "Next",
        "Exec",
        "Credential",
        "Connection",
        "Auth",
        "Operation",
        "Adoption",
        "Rate",
        "ChangePhase",
        "Retry",
    ] {
        section(&mut page, name, &definitions[name]);
    }
    current("docs/manifest.md", &page);
}

fn words(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn section(page: &mut String, name: &str, schema: &Value) {
    let _ = write!(page, "\n## {name}\n\n{}\n\n", words(schema));
    if let Some(variants) = schema["oneOf"].as_array() {
        for variant in variants {
            let _ = writeln!(
                page,
                "- `{}`: {}",
                variant["const"].as_str().unwrap_or_default(),
                words(variant)
            );
        }
        return;
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    page.push_str("| field | type | | what |\n|---|---|---|---|\n");
    for (field, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let needed = if required.iter().any(|name| name == field) { "required" } else { "" };
        let _ = writeln!(
            page,
            "| `{field}` | {} | {needed} | {} |",
            kind(property),
            words(property).replace('|', "\\|")
        );
    }
}

fn kind(property: &Value) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    if let Some(options) = property["anyOf"].as_array() {
        return options
            .iter()
            .filter(|option| option["type"] != "null")
            .map(kind)
            .collect::<Vec<_>>()
            .join(" or ");
    }
    let name = match &property["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "any".to_owned(),
    };
    match name.as_str() {
        "array" => format!("list of {}", kind(&property["items"])),
        "object" if property["additionalProperties"].is_object() => {
            format!("map of {}", kind(&property["additionalProperties"]))
        }
        _ => name,
    }
}
