//! Durations as Fly writes them: Go text (`15s`, `1m30s`, `250ms`) or a number of nanoseconds.

use starsystem_provisioner::serde_json::Value;

/// A duration in milliseconds; `None` when it is none.
pub fn millis(value: &Value) -> Option<u64> {
    match value {
        Value::Number(nanoseconds) => {
            nanoseconds.as_u64().map(|nanoseconds| nanoseconds / 1_000_000)
        }
        Value::String(text) => millis_of(text),
        _ => None,
    }
}

/// A duration in Go's notation, in milliseconds. Whole numbers and the units h, m, s, ms only.
pub fn millis_of(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit: u64 = match &rest[..unit_end] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use starsystem_provisioner::json;

    use super::*;

    #[test]
    fn text_and_nanoseconds_are_the_same_time() {
        assert_eq!(millis(&json!("15s")), Some(15_000));
        assert_eq!(millis(&json!(15_000_000_000_u64)), Some(15_000));
        assert_eq!(millis_of("1m30s"), Some(90_000));
        assert_eq!(millis_of("250ms"), Some(250));
        assert_eq!(millis_of("1h0m0s"), Some(3_600_000));
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["", "15", "s", "1d", "1s5"] {
            assert_eq!(millis_of(text), None, "{text}");
        }
        assert_eq!(millis(&json!(true)), None);
    }
}
