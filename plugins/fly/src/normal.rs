//! Compares a wanted configuration with a real one, which the API gives back in other words: `null`, `{}`, `[]`
//! and `""` mean absent, `autostop` may be a bool, durations may be nanoseconds, defaults are filled in.

use starsystem_provisioner::serde_json::Value;

use crate::duration;

/// Whether `actual` says everything that `wanted` says. What only `actual` says does not matter, except that
/// lists must be equally long and `env` must be the same.
pub fn covers(wanted: &Value, actual: &Value) -> bool {
    covers_at("", wanted, actual)
}

fn covers_at(key: &str, wanted: &Value, actual: &Value) -> bool {
    if is_absent(wanted) {
        return is_absent(actual);
    }
    match (wanted, actual) {
        (Value::Object(fields), _) if key == "env" => {
            actual.as_object().is_some_and(|actual| fields == actual)
        }
        (Value::Object(fields), Value::Object(_)) => {
            fields.iter().all(|(key, value)| covers_at(key, value, &actual[key]))
        }
        (Value::Array(items), Value::Array(others)) => {
            items.len() == others.len()
                && items.iter().zip(others).all(|(item, other)| covers_at("", item, other))
        }
        _ if key == "autostop" => autostop(wanted) == autostop(actual),
        _ if matches!(key, "interval" | "timeout" | "grace_period") => {
            duration::millis(wanted) == duration::millis(actual)
        }
        _ => wanted == actual,
    }
}

fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn autostop(value: &Value) -> &str {
    match value {
        Value::Bool(true) => "stop",
        Value::String(mode) => mode,
        _ => "off",
    }
}

#[cfg(test)]
mod tests {
    use starsystem_provisioner::json;

    use super::*;

    #[test]
    fn the_ways_to_say_nothing_are_the_same() {
        for actual in
            [json!({}), json!({"a": null}), json!({"a": {}}), json!({"a": []}), json!({"a": ""})]
        {
            assert!(covers(&json!({"a": null}), &actual), "{actual}");
            assert!(covers(&json!({"a": []}), &actual), "{actual}");
        }
        assert!(!covers(&json!({"a": null}), &json!({"a": false})));
        assert!(!covers(&json!({"a": {}}), &json!({"a": {"b": 1}})));
    }

    #[test]
    fn defaults_that_the_vendor_fills_in_do_not_matter() {
        let actual = json!({"image": "i", "guest": {"cpus": 1, "gpus": null}, "dns": {}, "restart": {"policy": ""}});
        assert!(covers(&json!({"image": "i", "guest": {"cpus": 1}}), &actual));
        assert!(!covers(&json!({"image": "j"}), &actual));
    }

    #[test]
    fn autostop_and_durations_are_compared_by_meaning() {
        let wanted = json!({"autostop": "off", "checks": [{"interval": "15s"}]});
        assert!(covers(
            &wanted,
            &json!({"autostop": false, "checks": [{"interval": 15_000_000_000_u64}]})
        ));
        assert!(covers(&json!({"autostop": "stop"}), &json!({"autostop": true})));
        assert!(covers(&json!({"autostop": "off"}), &json!({})));
        assert!(!covers(&json!({"autostop": "suspend"}), &json!({"autostop": true})));
        assert!(!covers(&wanted, &json!({"autostop": false, "checks": [{"interval": "16s"}]})));
    }

    #[test]
    fn lists_and_env_are_compared_whole() {
        assert!(!covers(
            &json!({"services": [{"a": 1}]}),
            &json!({"services": [{"a": 1}, {"a": 2}]})
        ));
        assert!(!covers(&json!({"env": {"A": "1"}}), &json!({"env": {"A": "1", "B": "2"}})));
        assert!(covers(&json!({"env": {"A": ""}}), &json!({"env": {"A": ""}})));
        assert!(!covers(&json!({"env": {}}), &json!({"env": {"A": "1"}})));
        assert!(covers(&json!({"env": {}}), &json!({"env": null})));
    }
}
