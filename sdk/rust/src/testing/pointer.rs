//! JSON pointers with `*` for every element or key.

use serde_json::Value;

/// A place that a pattern matched: its pointer, and the keys that stood for each `*`.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) pointer: String,
    pub(super) stars: Vec<String>,
}

/// Whether a concrete pointer fits a pattern.
pub(super) fn matches(pattern: &str, pointer: &str) -> bool {
    let (pattern, pointer) = (pattern.split('/'), pointer.split('/'));
    pattern.clone().count() == pointer.clone().count()
        && pattern.zip(pointer).all(|(wanted, found)| wanted == "*" || wanted == found)
}

/// Every place in a document that fits a pattern.
pub(super) fn places(document: &Value, pattern: &str) -> Vec<Place> {
    let mut places = vec![Place::default()];
    for key in pattern.split('/').skip(1) {
        places = places.iter().flat_map(|place| step(document, place, key)).collect();
    }
    places
}

/// A pattern with its first `*`s replaced by the keys of a place.
pub(super) fn fixed(pattern: &str, place: &Place) -> String {
    place.stars.iter().fold(pattern.to_owned(), |pattern, key| pattern.replacen('*', key, 1))
}

fn step(document: &Value, place: &Place, key: &str) -> Vec<Place> {
    let Some(value) = document.pointer(&place.pointer) else { return Vec::new() };
    let keys: Vec<String> = match (key, value) {
        ("*", Value::Object(fields)) => fields.keys().map(|key| escape(key)).collect(),
        ("*", Value::Array(items)) => (0..items.len()).map(|index| index.to_string()).collect(),
        _ => vec![key.to_owned()],
    };
    let deeper = keys.into_iter().map(|found| {
        let mut stars = place.stars.clone();
        if key == "*" {
            stars.push(found.clone());
        }
        Place { pointer: format!("{}/{found}", place.pointer), stars }
    });
    deeper.filter(|place| document.pointer(&place.pointer).is_some()).collect()
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stars_stand_for_elements_and_keys() {
        let document = json!({"a": [{"x": 1}, {"y": 2}, {"x": 3}], "m": {"k/1": {"x": 4}}});
        let found = |pattern| -> Vec<String> {
            places(&document, pattern).into_iter().map(|place| place.pointer).collect()
        };
        assert_eq!(found("/a/*/x"), ["/a/0/x", "/a/2/x"]);
        assert_eq!(found("/m/*/x"), ["/m/k~11/x"]);
        assert_eq!(found("/a/7/x"), [""; 0]);
    }

    #[test]
    fn shared_stars_are_fixed_in_order() {
        let document = json!([{"id": "a", "tags": ["t"]}]);
        let place = &places(&document, "/*/id")[0];
        assert_eq!(fixed("/*/tags/*", place), "/0/tags/*");
    }

    #[test]
    fn matches_whole_pointers_only() {
        assert!(matches("/env/*", "/env/A"));
        assert!(!matches("/env/*", "/env/A/b"));
        assert!(!matches("/env/*", "/enw/A"));
    }
}
