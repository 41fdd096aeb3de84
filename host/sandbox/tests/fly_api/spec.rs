//! Checks answers against Fly's OpenAPI document, which is not part of this repository.
//!
//! Looked for in `SS_SPECS_DIR`, then in `../shared/specs` beside the repository. Stricter than the
//! document: a field it does not know is wrong, too. What the real API is known to do differently
//! from its document stands in `KNOWN`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// Deviations of the real API from its own document: method, path, why.
const KNOWN: [(&str, &str, &str); 11] = [
    ("GET", "/lease", "wrapped in {status, data}"),
    ("POST", "/lease", "wrapped in {status, data}"),
    ("DELETE", "/lease", "wrapped in {status, data}, in the document without a body"),
    ("POST", "/start", "{previous_state, migrated, new_host}, in the document without a body"),
    ("POST", "/stop", "{ok}, in the document without a body"),
    ("POST", "/suspend", "{ok}, in the document without a body"),
    ("POST", "/restart", "{ok}, in the document without a body"),
    ("POST", "/signal", "{ok}, in the document without a body"),
    ("POST", "/cordon", "{ok}, in the document without a body"),
    ("POST", "/uncordon", "{ok}, in the document without a body"),
    ("DELETE", "", "{ok}, in the document without a body"),
];
const MACHINE: &str = "/apps/{app_name}/machines/{machine_id}";

pub struct Spec {
    document: Value,
}

impl Spec {
    pub fn load() -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs");
        let folder = std::env::var_os("SS_SPECS_DIR").map_or(beside, PathBuf::from);
        let text = std::fs::read_to_string(folder.join("fly-machines.openapi3.json")).ok()?;
        Some(Self { document: serde_json::from_str(&text).unwrap() })
    }

    /// What is wrong with this answer; `path` is below `/v1`.
    pub fn check(
        &self,
        method: &str,
        path: &str,
        status: u16,
        text: &str,
        body: &Value,
    ) -> Vec<String> {
        let path = path.split('?').next().unwrap_or_default();
        let Some((template, operation)) = self.operation(method, path) else {
            let unrouted = status == 404 && text == "404 page not found\n";
            return if unrouted { Vec::new() } else { vec!["no such operation".to_owned()] };
        };
        let known = |(verb, below, _): &(&str, &str, &str)| {
            *verb == method && template.strip_prefix(MACHINE) == Some(below)
        };
        let mut wrong = Vec::new();
        if status >= 400 {
            let lease = template.ends_with("/lease") && body["status"] == "error";
            if !lease {
                self.value(
                    body,
                    &self.document["components"]["schemas"]["ErrorResponse"],
                    "error",
                    &mut wrong,
                );
            }
            return wrong;
        }
        let Some(response) = operation["responses"].get(status.to_string()) else {
            return vec![format!("status {status} is not in the document")];
        };
        let schema = &response["content"]["application/json"]["schema"];
        if KNOWN.iter().any(known) {
            return wrong;
        }
        if schema.is_null() {
            if !text.is_empty() {
                wrong.push("the document has no body".to_owned());
            }
        } else {
            self.value(body, schema, "body", &mut wrong);
        }
        wrong
    }

    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let names: Vec<&str> = template.split('/').collect();
            names.len() == parts.len()
                && names
                    .iter()
                    .zip(&parts)
                    .all(|(name, part)| name.starts_with('{') || name == part)
        };
        let paths = self.document["paths"].as_object()?;
        let mut found: Vec<(&str, &Value)> = paths
            .iter()
            .filter_map(|(template, operations)| {
                let template = template.strip_prefix("/v1")?;
                let operation = operations.get(method.to_ascii_lowercase())?;
                fits(template).then_some((template, operation))
            })
            .collect();
        // A spelled-out part wins over a parameter.
        found.sort_by_key(|(template, _)| template.matches('{').count());
        found.first().copied()
    }

    fn value(&self, value: &Value, schema: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
            return self.value(value, &self.document["components"]["schemas"][name], at, wrong);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.value(value, part, at, wrong);
        }
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            wrong.push(format!("{at}: {value} is none of {allowed:?}"));
        }
        let right = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => true,
        };
        if !right {
            wrong.push(format!("{at}: {value} is not a {}", schema["type"]));
        }
        for (place, item) in value.as_array().into_iter().flatten().enumerate() {
            self.value(item, &schema["items"], &format!("{at}[{place}]"), wrong);
        }
        if let Some(fields) = value.as_object() {
            self.fields(fields, schema, at, wrong);
        }
    }

    fn fields(
        &self,
        fields: &Map<String, Value>,
        schema: &Value,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        for required in
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
        {
            if !fields.contains_key(required) {
                wrong.push(format!("{at}: {required} is missing"));
            }
        }
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(known), _) => self.value(value, known, &at, wrong),
                (None, Some(additional)) => self.value(value, additional, &at, wrong),
                (None, None) if schema["properties"].is_object() => {
                    wrong.push(format!("{at}: unknown field"))
                }
                (None, None) => {}
            }
        }
    }
}

/// F24: every answer of every other test goes through `check`; this one shows that it bites.
#[test]
fn f24_answers_are_checked_against_the_openapi_document() {
    let Some(spec) = Spec::load() else {
        println!(
            "skipped: fly-machines.openapi3.json is in neither SS_SPECS_DIR nor ../shared/specs"
        );
        return;
    };
    let machine = |text: &str| {
        let body: Value = serde_json::from_str(text).unwrap();
        spec.check("GET", "/apps/a/machines/1", 200, text, &body)
    };
    assert!(machine(r#"{"id":"1","config":{"env":{"A":"b"}},"checks":[]}"#).is_empty());
    assert!(!machine(r#"{"id":1}"#).is_empty());
    assert!(!machine(r#"{"surprise":true}"#).is_empty());
    assert!(!machine(r#"{"host_status":"fine"}"#).is_empty());
    assert!(!machine(r#"{"config":{"services":[{"autostop":true}]}}"#).is_empty());
    assert!(!spec.check("GET", "/apps/a/nothing", 200, "{}", &Value::Null).is_empty());
}
