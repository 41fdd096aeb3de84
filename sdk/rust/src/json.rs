//! Small helpers for vendors' JSON, in which `null` and an absent key mean the same.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// For `#[serde(default, deserialize_with = "json::or_default")]`: `null` becomes the type's default.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The value at a JSON pointer; `null` counts as absent.
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    value.pointer(pointer).filter(|found| !found.is_null())
}

/// The text at a JSON pointer.
pub fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    at(value, pointer).and_then(Value::as_str)
}

/// A JSON pointer out of plain keys: `pointer(["env", "A/B"])` is `/env/A~1B`.
pub fn pointer<const N: usize>(keys: [&str; N]) -> String {
    let escape = |key: &str| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    keys.iter().map(|key| escape(key)).collect()
}

/// Reads text. The crate reads all text here and types from values only: a component holds one parser, and
/// each type's reader once.
pub(crate) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(text)
}

pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}
