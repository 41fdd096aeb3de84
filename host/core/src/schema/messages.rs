//! What the validator found, in words, at the place in the user's file.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::describe;
use crate::config::Target;
use crate::diag::{Code, Diagnostic, did_you_mean, phrase};
use crate::text::printable;

/// One error as diagnostics: one for each unknown field, else one.
pub(super) fn diagnostics(
    error: &ValidationError<'_>,
    kind: &str,
    root: &Value,
    target: &Target,
) -> Vec<Diagnostic> {
    let pointer = error.instance_path().as_str();
    // The schema around the keyword that failed.
    let keyword = error.schema_path().as_str();
    let around = keyword.rsplit_once('/').map_or("", |(around, _)| around);
    let schema = root.pointer(around).unwrap_or(root);
    let found = Found { kind, root, schema, pointer, target };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|name| found.unknown(name)).collect()
        }
        Kind::Required { property } => vec![found.missing(property.as_str().unwrap_or_default())],
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            // The one alternative that was nearly met says more than all of them together.
            let near = |branch: &&Vec<ValidationError<'_>>| {
                branch.iter().all(|inner| {
                    !is_other_kind(inner) || inner.instance_path() != error.instance_path()
                })
            };
            let mut nearest = context.iter().filter(near);
            match (nearest.next(), nearest.next()) {
                (Some(branch), None) => {
                    branch.iter().flat_map(|inner| diagnostics(inner, kind, root, target)).collect()
                }
                _ => vec![found.wrong_value(error)],
            }
        }
        Kind::PropertyNames { error } => vec![found.bad_name(error)],
        Kind::FalseSchema => vec![found.not_allowed()],
        Kind::UniqueItems => {
            let message = format!("{} must not repeat an entry", found.field());
            vec![found.wrong(message).help("keep one of them")]
        }
        Kind::Referencing(_) | Kind::RegexEngineFailure { .. } => {
            let message = format!("the schema of `{kind}` cannot be used: {error}");
            let diagnostic = Diagnostic::error(Code::UnusableSchema, printable(&message, 300));
            let help = "use another version of the provisioner, or tell its author";
            vec![diagnostic.at(target.kind.span, "").help(help)]
        }
        _ => vec![found.wrong_value(error)],
    }
}

/// Whether a value is something else altogether, not merely a wrong one of its kind.
fn is_other_kind(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. })
}

/// An error with everything needed to word it.
struct Found<'a> {
    kind: &'a str,
    root: &'a Value,
    schema: &'a Value,
    pointer: &'a str,
    target: &'a Target,
}

impl Found<'_> {
    /// The path as the user would write it: `env.NODE_ENV`.
    fn path(&self, more: &[&str]) -> String {
        let tokens = self.pointer.split('/').skip(1);
        let tokens = tokens.map(|token| token.replace("~1", "/").replace("~0", "~"));
        tokens.chain(more.iter().map(|token| (*token).to_owned())).collect::<Vec<_>>().join(".")
    }

    fn field(&self) -> String {
        match self.pointer {
            "" => format!("the `{}` target", self.kind),
            _ => format!("`{}`", self.path(&[])),
        }
    }

    fn below(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    fn property_names(&self) -> Vec<&str> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    fn unknown(&self, name: &str) -> Diagnostic {
        let message =
            format!("`{}` is not a field of the `{}` target", self.path(&[name]), self.kind);
        let span = self.target.key_span_of(&self.below(name));
        let diagnostic = Diagnostic::error(Code::UnknownTargetField, message).at(span, "");
        let names = self.property_names();
        match did_you_mean(name, names.iter().copied()) {
            Some(help) => diagnostic.help(help),
            None if names.is_empty() => diagnostic.help("take it out"),
            None => diagnostic.help(format!("its fields are {}", names.join(", "))),
        }
    }

    fn missing(&self, name: &str) -> Diagnostic {
        let message = format!("{} needs `{name}`", self.field());
        let property = self.schema.pointer(&format!("/properties/{name}"));
        let description = property.and_then(|property| property.get("description"));
        let takes = property.and_then(|property| describe::schema(self.root, property));
        let diagnostic = Diagnostic::error(Code::MissingTargetField, message)
            .at(self.target.key_span_of(self.pointer), "");
        match (description.and_then(Value::as_str), takes) {
            (Some(description), _) => diagnostic
                .help(format!("add `{name}: …`: {}", phrase(&printable(description, 300)))),
            (None, Some(takes)) => diagnostic.help(format!("add `{name}`: {takes}")),
            (None, None) => diagnostic.help(format!("add `{name}: …`")),
        }
    }

    fn not_allowed(&self) -> Diagnostic {
        let message = format!("{} is not allowed here", self.field());
        Diagnostic::error(Code::UnknownTargetField, message)
            .at(self.target.key_span_of(self.pointer), "")
            .help("take it out")
    }

    fn bad_name(&self, error: &ValidationError<'_>) -> Diagnostic {
        let name = error.instance().as_str().unwrap_or_default();
        let mut schema = self.schema.get("propertyNames").unwrap_or(self.schema).clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.entry("type").or_insert_with(|| "string".into());
        }
        let wanted = describe::schema(self.root, &schema).unwrap_or_else(|| "another".to_owned());
        let message = format!("the name `{}` in {} must be {wanted}", name, self.field());
        Diagnostic::error(Code::WrongTargetValue, message)
            .at(self.target.key_span_of(&self.below(name)), "")
            .help("rename it, or take it out")
    }

    fn wrong(&self, message: String) -> Diagnostic {
        let diagnostic = Diagnostic::error(Code::WrongTargetValue, message);
        diagnostic.at(self.target.span_of(self.pointer), "")
    }

    /// What the schema itself says of the field: what it is for, and what it is when nothing is said.
    fn about(&self) -> String {
        let said = |name: &str| self.schema.get(name);
        let description = said("description").and_then(Value::as_str);
        let default = said("default").map(|default| match default {
            Value::Array(_) | Value::Object(_) => default.to_string(),
            _ => describe::value(default),
        });
        let examples = said("examples").and_then(Value::as_array).into_iter().flatten();
        let examples: Vec<String> = examples.take(3).map(describe::value).collect();
        let more = match (default, examples.as_slice()) {
            (Some(default), _) => format!("; when left out it is {}", printable(&default, 60)),
            (None, []) => String::new(),
            (None, examples) => format!("; for example {}", examples.join(" or ")),
        };
        match description {
            // A description that speaks of its default says it better.
            Some(description) if description.contains("Default") => {
                format!("{}: {}", self.field(), phrase(&printable(description, 300)))
            }
            Some(description) => {
                format!("{}: {}{more}", self.field(), phrase(&printable(description, 300)))
            }
            None if more.is_empty() => {
                format!("`ss schema` shows what a `{}` target takes", self.kind)
            }
            None => format!("{}{more}", self.field()),
        }
    }

    fn wrong_value(&self, error: &ValidationError<'_>) -> Diagnostic {
        let value = error.instance().as_ref();
        let Some(wanted) = describe::schema(self.root, self.schema) else {
            let said = printable(&error.to_string(), 300);
            let message =
                format!("{} is not what the `{}` target takes: {said}", self.field(), self.kind);
            return self.wrong(message).help(self.about());
        };
        let message = format!("{} must be {wanted}, not {}", self.field(), describe::value(value));
        self.wrong(message).help(way_out(self.schema, value).unwrap_or_else(|| self.about()))
    }
}

/// The commonest slips: quotes, and a word that is nearly one of those allowed.
fn way_out(schema: &Value, value: &Value) -> Option<String> {
    let takes = |kind: &str| {
        schema.get("type").is_some_and(|said| match said {
            Value::String(said) => said == kind,
            Value::Array(said) => said.iter().any(|said| said == kind),
            _ => false,
        })
    };
    match value {
        Value::String(text) => {
            let is_number = (takes("integer") || takes("number")) && text.parse::<f64>().is_ok();
            let is_bool = takes("boolean") && matches!(text.as_str(), "true" | "false");
            if is_number || is_bool {
                return Some(format!("write it without quotes: {text}"));
            }
            if takes("array") && !text.contains(char::is_whitespace) {
                return Some(format!("write it as a list: [{text}]"));
            }
            let options = || schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            let options = || options().filter_map(Value::as_str);
            let longer =
                || options().find(|option| text.len() > 2 && option.contains(text.as_str()));
            did_you_mean(text, options())
                .or_else(|| longer().map(|option| format!("did you mean `{option}`?")))
        }
        Value::Number(_) | Value::Bool(_) if takes("string") && schema.get("pattern").is_none() => {
            Some("put it in quotes if it is meant as text".to_owned())
        }
        Value::Array(_) if takes("object") => {
            Some("write it as a map: a `name: value` line for each".to_owned())
        }
        Value::Object(_) if takes("array") => {
            Some("write it as a list: a `- value` line for each".to_owned())
        }
        _ => None,
    }
}
