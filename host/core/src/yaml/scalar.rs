//! Scalars by the YAML 1.2 core schema: `yes` and `on` are text, `true` is not.
//!
//! A number that would come out different from what was typed is refused instead of bent.

use granit_parser::{ScalarStyle, Tag};
use serde_json::Number;

use super::tree::Value;
use crate::diag::{Code, Diagnostic, Span};

/// Why a scalar cannot be taken.
pub(super) enum Fault {
    /// The number would change.
    Number(&'static str),
    /// The tag is not known, or does not fit.
    Tag(String),
}

impl Fault {
    /// Whether the text can stand in for the value.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    pub(super) fn diagnostic(&self, text: &str, span: Span) -> Diagnostic {
        match self {
            Self::Number(why) => {
                let message = format!("`{text}` would not be kept as it is written");
                Diagnostic::error(Code::AmbiguousNumber, message)
                    .at(span, *why)
                    .help(format!("if it is meant as text, put it in quotes: \"{text}\""))
            }
            Self::Tag(tag) => unknown_tag(tag, span),
        }
    }
}

/// The diagnostic for a tag that is not understood.
pub(super) fn unknown_tag(tag: &str, span: Span) -> Diagnostic {
    let message = format!("the YAML tag `{tag}` cannot be used here");
    Diagnostic::error(Code::UnsupportedYaml, message).at(span, "").help("write the value plainly")
}

/// What a scalar means.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Fault> {
    let string = || Value::String(text.to_owned());
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(string()) };
    };
    let wanted = match tag.core_suffix() {
        Some("str") => return Ok(string()),
        None if tag.original() == "!" => return Ok(string()),
        Some(suffix) => suffix,
        None => return Err(Fault::Tag(tag.original())),
    };
    let value = plain(text)?;
    let fits = match &value {
        Value::Null => wanted == "null",
        Value::Bool(_) => wanted == "bool",
        Value::Number(number) => wanted == "float" || (wanted == "int" && !number.is_f64()),
        _ => false,
    };
    if fits { Ok(value) } else { Err(Fault::Tag(tag.original())) }
}

fn plain(text: &str) -> Result<Value, Fault> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text)? {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    })
}

const TOO_LONG: Fault = Fault::Number("it has more digits than a number keeps");

fn number(text: &str) -> Result<Option<Number>, Fault> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(Fault::Number("it is not a finite number"));
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        let body = text.strip_prefix(prefix).filter(|body| !body.is_empty());
        if let Some(body) = body.filter(|body| body.chars().all(|c| c.is_digit(radix))) {
            let number = u64::from_str_radix(body, radix).map_err(|_| TOO_LONG)?;
            return Ok(Some(number.into()));
        }
    }
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(Fault::Number(
                "with a leading zero it is octal for some and decimal for others",
            ));
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        let small = text.parse::<i64>().map(Number::from);
        let number = small.or_else(|_| text.parse::<u64>().map(Number::from));
        return number.map(Some).map_err(|_| TOO_LONG);
    }
    if !is_float(digits) {
        return Ok(None);
    }
    let value: f64 = text.parse().map_err(|_| TOO_LONG)?;
    Number::from_f64(value).map(Some).ok_or(TOO_LONG)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && has_exponent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::Node;

    fn json(text: &str) -> Option<serde_json::Value> {
        let value = plain(text).ok()?;
        Some(Node { span: Span::default(), value }.to_json())
    }

    #[test]
    fn reads_the_core_schema() {
        for (text, value) in [
            ("~", json!(null)),
            ("True", json!(true)),
            ("3000", json!(3000)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("yes", json!("yes")),
            ("off", json!("off")),
            ("1_000", json!("1_000")),
            ("1.2.3", json!("1.2.3")),
            ("12:30", json!("12:30")),
            (".", json!(".")),
            ("-", json!("-")),
            ("e5", json!("e5")),
            ("1e", json!("1e")),
            ("0xg", json!("0xg")),
            ("infinity", json!("infinity")),
            ("NaN", json!("NaN")),
        ] {
            assert_eq!(json(text), Some(value), "{text}");
        }
    }

    #[test]
    fn refuses_to_bend_a_number() {
        for text in ["0644", "-007", "99999999999999999999", ".inf", "-.INF", ".nan", "1e999"] {
            assert_eq!(json(text), None, "{text}");
        }
    }
}
