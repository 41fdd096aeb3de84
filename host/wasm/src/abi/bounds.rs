//! How much of everything a guest may hand over. Checked before anything is converted or kept.
//!
//! Text for people is cut, because losing a deploy over a long log line helps nobody; everything else is refused.

use serde_json::Value;

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

/// The text, unless it is too long.
pub(crate) fn text(what: &str, text: String, most: usize) -> Result<String, Stop> {
    size(what, text.len(), most)?;
    Ok(text)
}

/// Refuses more than `most` bytes.
pub(crate) fn size(what: &str, bytes: usize, most: usize) -> Result<(), Stop> {
    if bytes <= most {
        return Ok(());
    }
    Err(Stop::Exhausted(format!("its {what} is {bytes} bytes long; {most} is the most")))
}

/// Converts a list, unless it is too long.
pub(crate) fn list<T, U>(
    what: &str,
    list: Vec<T>,
    convert: impl FnMut(T) -> Result<U, Stop>,
) -> Result<Vec<U>, Stop> {
    if list.len() > LIST {
        let count = list.len();
        return Err(Stop::Exhausted(format!(
            "its {what} has {count} elements; {LIST} is the most"
        )));
    }
    list.into_iter().map(convert).collect()
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
    let refused = |why: String| Stop::Unusable(format!("its {what} must be a JSON object: {why}"));
    match serde_json::from_str(document) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(other) => Err(refused(format!("it is {}", kind(&other)))),
        Err(error) => Err(refused(error.to_string())),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
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
        assert!(list("params", vec![(); LIST], Ok).is_ok());
        assert!(matches!(list("params", vec![(); LIST + 1], Ok), Err(Stop::Exhausted(_))));
        assert!(matches!(text("operation", "x".repeat(NAME + 1), NAME), Err(Stop::Exhausted(_))));
    }
}
