//! The vendor's OpenAPI document, which lives outside this repository: every answer a test sees is
//! checked against it, and nothing is when it is not there.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Option<Value>> = LazyLock::new(load);
static CHECKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The operations of which at least one answer was checked in this run; `None` without a document.
pub fn checked_operations() -> Option<BTreeSet<String>> {
    DOCUMENT.as_ref().map(|_| CHECKED.lock().unwrap().clone())
}

/// Checks one answer.
pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    let Some(document) = DOCUMENT.as_ref() else { return };
    let Some((operation, responses)) = find(document, method, path) else { return };
    let name = format!("{operation} {status}");
    let response = responses.get(status.to_string()).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{name} is not in the document"));
    let response = follow(document, response);
    match response.pointer("/content/application~1json/schema") {
        Some(schema) => {
            let mut errors: Vec<String> = validator(document, &name, schema)
                .iter_errors(body)
                .map(|error| format!("{error} at {}", error.instance_path()))
                .collect();
            unknown_fields(document, schema, body, "", &mut errors);
            assert!(errors.is_empty(), "{name} breaks the document: {errors:#?}\n{body:#}");
        }
        None => assert!(body.is_null(), "{name} has a body: {body}"),
    }
    CHECKED.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
}

fn load() -> Option<Value> {
    let folder = std::env::var_os("SS_SPECS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs"),
        PathBuf::from,
    );
    let text = std::fs::read(folder.join("neon-v2.openapi.json")).ok()?;
    let mut document = serde_json::from_slice(&text).expect("the document is JSON");
    allow_nulls(&mut document);
    Some(document)
}

/// OpenAPI 3.0 says `nullable`, JSON Schema says `anyOf … null`.
fn allow_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(allow_nulls);
            if fields.remove("nullable") == Some(json!(true)) {
                let inner = Value::Object(std::mem::take(fields));
                fields.insert("anyOf".into(), json!([inner, {"type": "null"}]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(allow_nulls),
        _ => {}
    }
}

/// The operation a request is an instance of; literal segments win over parameters.
fn find<'a>(document: &'a Value, method: &str, path: &str) -> Option<(&'a str, &'a Value)> {
    let path = path.split('?').next().unwrap_or_default();
    let given: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same = |(wanted, given): (&&str, &&str)| wanted.starts_with('{') || wanted == given;
        wanted.len() == given.len() && wanted.iter().zip(&given).all(same)
    };
    let paths: &Map<String, Value> = document["paths"].as_object()?;
    let template = paths.keys().filter(fits).min_by_key(|it| it.matches('{').count())?;
    let operation = paths[template].get(method.to_lowercase())?;
    Some((operation["operationId"].as_str()?, &operation["responses"]))
}

/// Stricter than the document: a field it does not name would be one that we made up.
fn unknown_fields(
    document: &Value,
    schema: &Value,
    body: &Value,
    place: &str,
    errors: &mut Vec<String>,
) {
    match body {
        Value::Object(fields) => {
            let mut known = Known::default();
            known.collect(document, schema);
            for (name, field) in fields {
                let place = format!("{place}/{name}");
                match known.fields.get(name.as_str()) {
                    Some(schema) => unknown_fields(document, schema, field, &place, errors),
                    None if known.open => {}
                    None => errors.push(format!("{place} is not in the document")),
                }
            }
        }
        Value::Array(items) => {
            let schema = follow(document, schema);
            for (index, item) in items.iter().enumerate() {
                let place = format!("{place}/{index}");
                unknown_fields(document, &schema["items"], item, &place, errors);
            }
        }
        _ => {}
    }
}

/// The fields an object may have, over all the schemas it is put together from.
#[derive(Default)]
struct Known<'a> {
    fields: HashMap<&'a str, &'a Value>,
    open: bool,
}

impl<'a> Known<'a> {
    fn collect(&mut self, document: &'a Value, schema: &'a Value) {
        let schema = follow(document, schema);
        self.open |= schema.get("additionalProperties").is_some();
        let properties = schema.get("properties").and_then(Value::as_object);
        self.fields.extend(properties.into_iter().flatten().map(|(name, it)| (name.as_str(), it)));
        for part in ["allOf", "anyOf", "oneOf"] {
            for schema in schema.get(part).and_then(Value::as_array).into_iter().flatten() {
                self.collect(document, schema);
            }
        }
    }
}

fn follow<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str);
    let target = reference.and_then(|it| document.pointer(it.trim_start_matches('#')));
    target.unwrap_or(value)
}

fn validator(document: &Value, name: &str, schema: &Value) -> Arc<Validator> {
    static BUILT: OnceLock<Mutex<HashMap<String, Arc<Validator>>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default);
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        let whole = json!({"allOf": [schema], "components": {"schemas": document["components"]["schemas"]}});
        let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
        Arc::new(options.build(&whole).expect("the document's schemas are sound"))
    };
    built.entry(name.to_owned()).or_insert_with(build).clone()
}
