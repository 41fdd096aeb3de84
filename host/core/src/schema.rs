//! Target fields against the provisioner's own JSON Schema.
//!
//! The schema comes from a plugin and is not trusted: no reference leaves it, no pattern backtracks, and one that
//! would unfold without end is refused. Defaults are filled in first, so what is checked is what will be applied.

mod defaults;
mod describe;
mod dialect;
mod messages;
mod reference;

use std::collections::BTreeSet;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::config::Target;
use crate::diag::{Code, Diagnostic, PROBLEMS_MAX, Problems};

/// How large one compiled pattern may get, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// The schema of a target type, ready to check with.
pub struct TargetSchema {
    kind: String,
    schema: Value,
    validator: Validator,
}

impl TargetSchema {
    /// Compiles the schema of a target type.
    pub fn new(kind: &str, schema: &Value) -> Result<Self, Box<Diagnostic>> {
        let unusable = |why: String| {
            let message = format!("the provisioner of `{kind}` has a schema that cannot be used");
            let diagnostic = Diagnostic::error(Code::UnusableSchema, message);
            Box::new(
                diagnostic.help(format!("{why}; this is a mistake of the provisioner, not yours")),
            )
        };
        reference::check(schema).map_err(unusable)?;
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let mut options = jsonschema::options().offline().with_pattern_options(patterns);
        if dialect::is_common(schema) {
            options = options.with_draft(Draft::Draft7);
        }
        let validator = options.build(schema).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { kind: kind.to_owned(), schema: schema.clone(), validator })
    }

    /// The fields with defaults filled in, and what is wrong with them.
    pub fn check(&self, target: &Target) -> (Value, Vec<Diagnostic>) {
        let fields = defaults::fill(&self.schema, &target.fields);
        let mut problems = Problems::default();
        let mut said = BTreeSet::new();
        for error in self.validator.iter_errors(&fields).take(PROBLEMS_MAX) {
            for diagnostic in messages::diagnostics(&error, &self.kind, &self.schema, target) {
                // Two rules of one field break together; they are described as one.
                if said.insert((
                    diagnostic.labels.first().map(|at| at.span),
                    diagnostic.message.clone(),
                )) {
                    problems.add(|| diagnostic);
                }
            }
        }
        (fields, problems.finish())
    }
}

/// Checks one target against one schema; [`TargetSchema`] is for many.
pub fn check_target(target: &Target, schema: &Value) -> (Value, Vec<Diagnostic>) {
    match TargetSchema::new(&target.kind.value, schema) {
        Ok(schema) => schema.check(target),
        Err(diagnostic) => {
            (target.fields.clone(), vec![diagnostic.at(target.kind.span, "of this provisioner")])
        }
    }
}

/// Dotted paths of the properties that say `"x-immutable": true`, nested ones included.
pub fn immutable_paths(schema: &Value) -> BTreeSet<String> {
    defaults::immutable_paths(schema)
}
