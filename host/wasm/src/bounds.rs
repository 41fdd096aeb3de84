//! How much of everything a guest may hand over. Checked before anything is converted or kept.
//!
//! Text for people is cut, because losing a deploy over a long log line helps nobody; everything else is refused.

use serde_json::Value;
use ss_gate::call::{Call, Failure, NamedSecret, Outcome, ResourceRecord};

use crate::state::Stop;

/// Names: of operations, parameters, secrets, placeholders.
pub(crate) const NAME: usize = 256;
/// Values of parameters, ids, templates, pointers.
pub(crate) const VALUE: usize = 64 << 10;
/// Request bodies.
pub(crate) const BODY: usize = 8 << 20;
/// JSON documents.
pub(crate) const JSON: usize = 1 << 20;
/// Lines for people.
pub(crate) const LINE: usize = 8 << 10;
/// Elements of a list.
pub(crate) const LIST: usize = 1_000;

/// Refuses more than `most` bytes.
pub(crate) fn size(what: &str, bytes: usize, most: usize) -> Result<(), Stop> {
    if bytes <= most {
        return Ok(());
    }
    Err(Stop::Exhausted(format!("its {what} is {bytes} bytes long; {most} is the most")))
}

/// Refuses more elements than a list may have.
fn list<T>(what: &str, list: &[T]) -> Result<(), Stop> {
    let count = list.len();
    if count <= LIST {
        return Ok(());
    }
    Err(Stop::Exhausted(format!("its {what} has {count} elements; {LIST} is the most")))
}

/// Checks a request.
pub(crate) fn call(call: &Call) -> Result<(), Stop> {
    size("request body", call.body.as_ref().map_or(0, Vec::len), BODY)?;
    size("operation name", call.operation.len(), NAME)?;
    list("list of parameters", &call.params)?;
    for param in &call.params {
        size("parameter name", param.name.len(), NAME)?;
        size("parameter value", param.value.len(), VALUE)?;
    }
    list("list of fills", &call.fill)?;
    call.fill.iter().try_for_each(|fill| size("fill pointer", fill.pointer.len(), VALUE))
}

/// What a request has to keep.
pub(crate) fn call_bytes(call: &Call) -> usize {
    let params = call.params.iter().map(|param| param.name.len() + param.value.len());
    let fills = call.fill.iter().map(|fill| fill.pointer.len());
    call.body.as_ref().map_or(0, Vec::len) + params.chain(fills).sum::<usize>()
}

/// Checks a list of secrets with their names.
pub(crate) fn secrets(what: &str, secrets: &[NamedSecret]) -> Result<(), Stop> {
    list(what, secrets)?;
    secrets.iter().try_for_each(|secret| size("name of a secret", secret.name.len(), NAME))
}

/// Checks a record; answers how many bytes its attributes have.
pub(crate) fn record(record: &ResourceRecord) -> Result<usize, Stop> {
    size("resource id", record.id.len(), VALUE)?;
    size("url", record.url.as_ref().map_or(0, String::len), VALUE)?;
    is_object("attributes", &record.attributes)
}

/// Checks what `apply` answered, and cuts its line.
pub(crate) fn outcome(outcome: Outcome) -> Result<Outcome, Stop> {
    record(&outcome.made)?;
    secrets("list of outputs", &outcome.outputs)?;
    Ok(Outcome { summary: line(outcome.summary), ..outcome })
}

/// Checks why a provisioner did not succeed, and cuts its sentence.
pub(crate) fn failure(failure: Failure) -> Result<Failure, Stop> {
    if let Some(details) = &failure.details {
        is_object("failure details", details)?;
    }
    Ok(Failure { message: line(failure.message), ..failure })
}

/// The manifest's text, bounded; what it says is the gate's to judge.
pub(crate) fn manifest(document: String) -> Result<String, Stop> {
    size("manifest", document.len(), JSON)?;
    Ok(document)
}

fn is_object(what: &str, value: &Value) -> Result<usize, Stop> {
    let Value::Object(_) = value else { return Err(no_object(what, kind(value))) };
    let bytes = value.to_string().len();
    size(what, bytes, JSON)?;
    Ok(bytes)
}

fn no_object(what: &str, why: &str) -> Stop {
    Stop::Unusable(format!("its {what} must be a JSON object: {why}"))
}

/// A line for people, cut where it is too long.
pub(crate) fn line(mut line: String) -> String {
    if line.len() > LINE {
        line.truncate(line.floor_char_boundary(LINE));
        line.push('…');
    }
    line
}

/// A JSON object, from its text.
pub(crate) fn object(what: &str, document: &str) -> Result<Value, Stop> {
    size(what, document.len(), JSON)?;
    match serde_json::from_str(document) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(other) => Err(no_object(what, kind(&other))),
        Err(error) => Err(no_object(what, &error.to_string())),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "it is null",
        Value::Bool(_) => "it is a truth value",
        Value::Number(_) => "it is a number",
        Value::String(_) => "it is a string",
        Value::Array(_) => "it is an array",
        Value::Object(_) => "it is an object",
    }
}

#[cfg(test)]
mod tests {
    use ss_gate::call::Param;

    use super::*;

    #[test]
    fn only_objects_are_objects() {
        assert!(object("attributes", r#"{"a": 1}"#).is_ok());
        let error = |document: &str| object("attributes", document).unwrap_err().to_string();
        assert_eq!(error("[1]"), "its attributes must be a JSON object: it is an array");
        assert!(error("{").starts_with("its attributes must be a JSON object: EOF"));
        assert!(error(&"[".repeat(10_000)).contains("recursion limit"));
        assert!(error(&" ".repeat(JSON + 1)).ends_with("1048576 is the most"));
    }

    #[test]
    fn lines_are_cut_between_characters() {
        assert_eq!(line("short".to_owned()), "short");
        let long = line("é".repeat(LINE));
        assert_eq!(long.chars().filter(|character| *character == 'é').count(), LINE / 2);
        assert!(long.ends_with("é…"));
    }

    #[test]
    fn lists_and_names_are_bounded() {
        let call = |params: usize, name: usize| {
            let param = || Param { name: "x".repeat(name), value: String::new() };
            let params = (0..params).map(|_| param()).collect();
            Call { operation: "get".to_owned(), params, body: None, fill: Vec::new() }
        };
        assert!(super::call(&call(LIST, NAME)).is_ok());
        assert!(matches!(super::call(&call(LIST + 1, 1)), Err(Stop::Exhausted(_))));
        assert!(matches!(super::call(&call(1, NAME + 1)), Err(Stop::Exhausted(_))));
    }
}
