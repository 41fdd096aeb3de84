//! Everything that can be said of a configuration before anything is done, in one call.
//!
//! What `validate`, `plan` and `deploy` share: the files, the graph between the services, the fields of the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::config::{self, Config};
use crate::diag::{Code, Diagnostic, Problems, SourceFile, did_you_mean};
use crate::graph;
use crate::ident::{EnvName, ServiceId};
use crate::plan::{Desired, TargetFacts};
use crate::schema::TargetSchema;

/// A target type that a provisioner offers.
#[derive(Debug, Clone)]
pub struct TargetType {
    /// What deciding needs of it.
    pub facts: Arc<TargetFacts>,
    /// The JSON Schema of its fields.
    pub schema: Value,
}

/// What is known of a configuration.
#[derive(Debug)]
pub struct Checked {
    /// The configuration; there whenever the base could be read.
    pub config: Option<Config>,
    /// What is asked of the planner, in order; empty when there is an error.
    pub desired: Vec<Desired>,
    /// Everything that was found.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Whether the configuration can be acted upon.
    pub fn is_usable(&self) -> bool {
        self.config.is_some() && !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads and checks both files against the target types that are installed, and against the connections of their
/// provisioners where those are known.
pub fn check(
    base: &SourceFile,
    overlay: Option<(&EnvName, &SourceFile)>,
    types: &BTreeMap<String, TargetType>,
    connections: Option<&BTreeSet<String>>,
) -> Checked {
    let mut problems = Problems::default();
    let Some(config) = config::read(base, overlay, &mut problems) else {
        check_targets_alone(overlay, types, &mut problems);
        return Checked { config: None, desired: Vec::new(), diagnostics: problems.finish() };
    };
    problems.extend(graph::check(&config));
    if let Some(known) = connections {
        check_connections(&config, known, &mut problems);
    }
    let outputs = types.iter().map(|(kind, known)| (kind.clone(), known.facts.outputs.clone()));
    problems.extend(graph::check_outputs(&config, &outputs.collect()));
    let resolved = check_targets(&config, types, &mut problems);
    let desired = if problems.is_usable() {
        let facts = types.iter().map(|(kind, known)| (kind.clone(), known.facts.clone())).collect();
        graph::desired(&config, &facts, &resolved).unwrap_or_else(|diagnostics| {
            problems.extend(diagnostics);
            Vec::new()
        })
    } else {
        Vec::new()
    };
    Checked { config: Some(config), desired, diagnostics: problems.finish() }
}

/// The targets of an overlay whose base cannot be read: what they hold, not what they lack, since that may stand
/// in the base.
fn check_targets_alone(
    overlay: Option<(&EnvName, &SourceFile)>,
    types: &BTreeMap<String, TargetType>,
    problems: &mut Problems,
) {
    let Some(config) = overlay.and_then(|(env, file)| config::read_overlay_alone(env, file)) else {
        return;
    };
    let mut found = Problems::default();
    check_targets(&config, types, &mut found);
    let found = found.finish().into_iter();
    problems.extend(found.filter(|one| one.code != Code::MissingTargetField));
}

/// Overrides of connections that no provisioner has.
fn check_connections(config: &Config, known: &BTreeSet<String>, problems: &mut Problems) {
    for (name, connection) in &config.connections {
        // A name that no connection can have was told already.
        if known.contains(name) || ServiceId::new(name).is_err() {
            continue;
        }
        problems.add(|| {
            let names = || known.iter().map(String::as_str);
            let message = format!("no provisioner has a connection `{name}`");
            let help = did_you_mean(name, names()).unwrap_or_else(|| {
                format!("the connections are {}", names().collect::<Vec<_>>().join(", "))
            });
            Diagnostic::error(Code::UnknownConnection, message)
                .at(connection.key_span, "")
                .help(help)
        });
    }
}

/// The fields of every target with a known type, defaults filled in.
fn check_targets(
    config: &Config,
    types: &BTreeMap<String, TargetType>,
    problems: &mut Problems,
) -> BTreeMap<ServiceId, Value> {
    let mut schemas: BTreeMap<&str, Option<TargetSchema>> = BTreeMap::new();
    let mut resolved = BTreeMap::new();
    for service in config.services.values() {
        let Some(target) = &service.target else { continue };
        let kind = target.kind.value.as_str();
        let Some(known) = types.get(kind) else {
            problems.add(|| unknown_type(service, kind, types));
            continue;
        };
        // Compiled once for each type, and reported once when it cannot be.
        let schema = schemas.entry(kind).or_insert_with(|| {
            let compiled = TargetSchema::new(kind, &known.schema);
            compiled.map_err(|diagnostic| problems.add(|| diagnostic.at(target.kind.span, ""))).ok()
        });
        if let Some(schema) = schema {
            let (fields, found) = schema.check(target);
            problems.extend(found);
            resolved.insert(service.id.clone(), fields);
        }
    }
    resolved
}

fn unknown_type(
    service: &config::Service,
    kind: &str,
    types: &BTreeMap<String, TargetType>,
) -> Diagnostic {
    let message = format!("no provisioner offers `{kind}`; `{}` will be skipped", service.id);
    let span = service.target.as_ref().map(|target| target.kind.span).unwrap_or_default();
    let diagnostic = Diagnostic::warning(Code::UnknownTargetType, message).at(span, "");
    match did_you_mean(kind, types.keys().map(String::as_str)) {
        Some(help) => diagnostic.help(help),
        None => diagnostic.help(format!(
            "install a provisioner for it with `ss plugin install`; there are {}",
            types.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        )),
    }
}
