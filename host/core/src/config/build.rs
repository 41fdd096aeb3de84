//! The merged tree → [`Config`].
//!
//! What the shape check has already reported is passed over in silence here.

use std::collections::{BTreeMap, BTreeSet};

use super::backend;
use super::merge::{merge, without_nulls};
use super::{Config, ConnectionOverride, Service, Target};
use crate::diag::{Code, Diagnostic, Problems, SourceFile, Span, Spanned, did_you_mean};
use crate::ident::{EnvName, PluginName, ServiceId, SystemName};
use crate::overlay::{self, OverlayError};
use crate::plan::Injection;
use crate::yaml::{Key, Node, Value};

/// The overlay must be the one that was asked for.
pub(super) fn check_environment(
    root: &Node,
    wanted: &EnvName,
    file: &str,
    problems: &mut Problems,
) {
    let Some(node) = root.get("environment") else { return };
    let Some(said) = node.text().filter(|said| *said != wanted.as_str()) else { return };
    problems.add(|| {
        let message = format!("`{file}` is the overlay of `{wanted}`, but says `{said}`");
        let diagnostic = Diagnostic::error(Code::WrongEnvironment, message).at(node.span, "");
        diagnostic.help(format!("write `environment: {wanted}`, or rename the file"))
    });
}

/// What `ss` wrote must still be what it wrote.
pub(super) fn check_state(root: &Node, file: &SourceFile, problems: &mut Problems) {
    let Some((key, _)) = root.field("_state") else { return };
    let Err(error) = overlay::read(&file.text) else { return };
    problems.add(|| {
        let (what, next) = match &error {
            OverlayError::Damaged(why) => (
                format!(
                    "`_state` is damaged: {}",
                    why.split(", expected struct").next().unwrap_or(why)
                ),
                "put it back as `ss` wrote it, or remove it to have it written anew".to_owned(),
            ),
            other => ("`_state` cannot be used".to_owned(), other.to_string()),
        };
        Diagnostic::error(Code::DamagedState, what).at(key.span, "").help(next)
    });
}

/// An overlay says where services run; it cannot add one.
pub(super) fn check_services_exist(base: &Node, overlay: &Node, problems: &mut Problems) {
    let known: BTreeSet<&str> =
        service_fields(base).iter().map(|(key, _)| key.text.as_str()).collect();
    for (key, _) in service_fields(overlay) {
        if known.contains(key.text.as_str()) {
            continue;
        }
        problems.add(|| {
            let message = format!("the service `{}` is not in `starsystem.yaml`", key.text);
            let diagnostic =
                Diagnostic::error(Code::NotInBase, message).at(key.span, "only in the overlay");
            diagnostic.help(did_you_mean(&key.text, known.iter().copied()).unwrap_or_else(|| {
                format!("add `{}` with its `type` to `services` in `starsystem.yaml`", key.text)
            }))
        });
    }
}

fn service_fields(root: &Node) -> &[(Key, Node)] {
    root.get("services").map(Node::fields).unwrap_or_default()
}

/// Builds the configuration out of both files.
pub(super) fn config(
    base: Node,
    overlay: Option<Node>,
    environment: Option<EnvName>,
    problems: &mut Problems,
) -> Config {
    let system = base.get("name").and_then(Node::text).and_then(|name| SystemName::new(name).ok());
    let declared: BTreeMap<String, Span> =
        service_fields(&base).iter().map(|(key, _)| (key.text.clone(), key.span)).collect();
    check_services_said(&base, problems);
    let count = |root: &Node| {
        service_fields(root).iter().filter(|(_, node)| node.value != Value::Null).count()
    };
    let services_by_file = std::iter::once(&base).chain(&overlay).map(count).collect();
    let removed = removed(overlay.as_ref());
    let root = match overlay {
        Some(overlay) => merge(base, overlay),
        None => without_nulls(base),
    };
    Config {
        // Without a valid name there is an error, and nothing will be done under this one.
        system: system.unwrap_or_else(|| SystemName::new("unnamed").expect("a valid name")),
        environment,
        services: services(&root, &declared, problems),
        plugins: plugins(&root),
        connections: connections(&root),
        state_backend: root.get("state").and_then(|node| backend::read(node, problems)),
        services_by_file,
        removed,
    }
}

/// Services that the overlay takes away with `null`.
fn removed(overlay: Option<&Node>) -> BTreeMap<ServiceId, Span> {
    let fields = overlay.map(service_fields).unwrap_or_default();
    let gone = fields.iter().filter(|(_, node)| node.value == Value::Null);
    gone.filter_map(|(key, _)| Some((ServiceId::new(&key.text).ok()?, key.span))).collect()
}

/// The base must have services, and say something of each.
fn check_services_said(base: &Node, problems: &mut Problems) {
    if base.get("services").is_none() {
        problems.add(|| {
            Diagnostic::error(Code::MissingField, "`starsystem.yaml` has no `services`")
                .at(base.span, "")
                .help("add `services:` and below it an id with its `type`")
        });
    }
    for (key, node) in service_fields(base) {
        if node.value == Value::Null {
            problems.add(|| no_type(key));
        }
    }
}

fn no_type(key: &Key) -> Diagnostic {
    Diagnostic::error(Code::MissingField, format!("the service `{}` has no `type`", key.text))
        .at(key.span, "")
        .help("say what it is, for example `type: process` or `type: database`")
}

fn services(
    root: &Node,
    declared: &BTreeMap<String, Span>,
    problems: &mut Problems,
) -> BTreeMap<ServiceId, Service> {
    let mut services = BTreeMap::new();
    for (position, (key, node)) in service_fields(root).iter().enumerate() {
        let (Some(&span), Ok(id)) = (declared.get(&key.text), ServiceId::new(&key.text)) else {
            continue;
        };
        if !matches!(node.value, Value::Map(_)) {
            continue;
        }
        if node.get("type").is_none() {
            problems.add(|| no_type(&Key { text: key.text.clone(), span }));
        }
        services.insert(id.clone(), service(id, span, position, node, problems));
    }
    services
}

fn service(
    id: ServiceId,
    span: Span,
    position: usize,
    node: &Node,
    problems: &mut Problems,
) -> Service {
    let text = |name: &str| node.get(name).and_then(Node::text).map(str::to_owned);
    let capabilities = node.get("capabilities").map(Node::items).unwrap_or_default();
    Service {
        span,
        position,
        kind: text("type").unwrap_or_default(),
        description: text("description"),
        capabilities: capabilities.iter().filter_map(Node::text).map(str::to_owned).collect(),
        depends_on: dependencies(node),
        inject_from: injections(node),
        target: node.field("target").and_then(|(key, node)| target(&id, key, node, problems)),
        protect: match node.get("protect").map(|node| &node.value) {
            Some(Value::Bool(protect)) => Some(*protect),
            _ => None,
        },
        id,
    }
}

fn dependencies(node: &Node) -> Vec<Spanned<ServiceId>> {
    let mut seen = BTreeSet::new();
    let items = node.get("depends_on").map(Node::items).unwrap_or_default();
    let ids = items.iter().filter_map(|item| {
        let id = ServiceId::new(item.text()?).ok()?;
        Some(Spanned::new(id, item.span))
    });
    ids.filter(|id| seen.insert(id.value.clone())).collect()
}

fn injections(node: &Node) -> Vec<Spanned<Injection>> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (key, names) in node.get("inject_from").map(Node::fields).unwrap_or_default() {
        let Ok(source) = ServiceId::new(&key.text) else { continue };
        for item in names.items() {
            let Some(name) = item.text() else { continue };
            let injection = Injection { source: source.clone(), name: name.to_owned() };
            if seen.insert(injection.clone()) {
                found.push(Spanned::new(injection, item.span));
            }
        }
    }
    found
}

fn target(id: &ServiceId, key: &Key, node: &Node, problems: &mut Problems) -> Option<Target> {
    let Value::Map(fields) = &node.value else { return None };
    let Some(kind) = node.get("type") else {
        problems.add(|| {
            let message = format!("the target of `{id}` has no `type`");
            Diagnostic::error(Code::MissingField, message)
                .at(key.span, "")
                .help("say who provisions it, for example `type: fly`")
        });
        return None;
    };
    let own = |name: &str| super::fields::TARGET.iter().any(|field| field.name == name);
    let others = fields.iter().filter(|(key, _)| !own(&key.text)).cloned().collect();
    let others = Node { span: node.span, value: Value::Map(others) };
    Some(Target {
        kind: Spanned::new(kind.text()?.to_owned(), kind.span),
        credential_env: node.get("credential_env").and_then(Node::text).map(str::to_owned),
        fields: others.to_json(),
        span: key.span,
        node: others,
    })
}

fn plugins(root: &Node) -> BTreeMap<PluginName, Spanned<String>> {
    let fields = root.get("plugins").map(Node::fields).unwrap_or_default();
    let entries = fields.iter().filter_map(|(key, node)| {
        let name = PluginName::new(&key.text).ok()?;
        Some((name, Spanned::new(node.text()?.to_owned(), node.span)))
    });
    entries.collect()
}

fn connections(root: &Node) -> BTreeMap<String, ConnectionOverride> {
    let fields = root.get("connections").map(Node::fields).unwrap_or_default();
    let entries = fields.iter().filter_map(|(key, node)| {
        let node = node.get("base_url")?;
        let base_url = node.text()?.to_owned();
        Some((
            key.text.clone(),
            ConnectionOverride { base_url, span: node.span, key_span: key.span },
        ))
    });
    entries.collect()
}
