//! The two files a user writes → one [`Config`], every value with the place it was written.
//!
//! `parse` says everything that can be said of the files alone: fields, types, names, the merge. What needs the
//! whole graph is in [`crate::graph`], what needs a provisioner's schema in [`crate::schema`].

mod backend;
mod build;
mod fields;
mod json_schema;
mod merge;
mod rule;
mod shape;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diag::{Diagnostic, Problems, SourceFile, Span, Spanned};
use crate::ident::{EnvName, PluginName, ServiceId, SystemName};
use crate::overlay;
use crate::plan::Injection;
use crate::yaml::{self, Node};

pub use backend::StateBackend;
pub use json_schema::json_schema;
pub use merge::merge;

/// Index of the base in spans and lists of files.
pub const BASE: u32 = 0;
/// Index of the overlay in spans and lists of files.
pub const OVERLAY: u32 = 1;

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `starsystem.yaml`.
    Base,
    /// `starsystem.<env>.yaml`.
    Overlay,
}

/// Base and overlay as one.
#[derive(Debug, Clone)]
pub struct Config {
    /// `name`.
    pub system: SystemName,
    /// The overlay's environment; `None` without an overlay.
    pub environment: Option<EnvName>,
    /// The services.
    pub services: BTreeMap<ServiceId, Service>,
    /// Provisioners that are not first-party: name → reference.
    pub plugins: BTreeMap<PluginName, Spanned<String>>,
    /// Connections that point elsewhere here.
    pub connections: BTreeMap<String, ConnectionOverride>,
    /// `state`; `None` for the local default.
    pub state_backend: Option<Spanned<StateBackend>>,
    /// How many services each file names: base, then overlay.
    pub services_by_file: Vec<usize>,
    /// Services that the overlay takes away with `null`, and where.
    pub removed: BTreeMap<ServiceId, Span>,
}

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Where the base names it.
    pub span: Span,
    /// Place in the base, from 0: ties in the order of deployment go by it.
    pub position: usize,
    /// `type`: what the service is. Free text; the target decides who provisions it.
    pub kind: String,
    /// `description`.
    pub description: Option<String>,
    /// `capabilities`.
    pub capabilities: Vec<String>,
    /// `depends_on`, in the order written, each once. Not yet known to exist.
    pub depends_on: Vec<Spanned<ServiceId>>,
    /// `inject_from`, flat, in the order written. Not yet known to exist.
    pub inject_from: Vec<Spanned<Injection>>,
    /// `target`; `None`: the service is skipped in this environment.
    pub target: Option<Target>,
    /// `protect`, when it is said.
    pub protect: Option<bool>,
}

/// Where a service runs.
#[derive(Debug, Clone)]
pub struct Target {
    /// `type`: picks the provisioner.
    pub kind: Spanned<String>,
    /// `credential_env`: the variable that holds the provider's token.
    pub credential_env: Option<String>,
    /// All other fields, as a JSON object.
    pub fields: Value,
    /// Where `target` is written.
    pub span: Span,
    node: Node,
}

impl Target {
    /// Where a JSON pointer into [`Target::fields`] was written. Of a field that is not there: its nearest parent.
    pub fn span_of(&self, pointer: &str) -> Span {
        self.find(pointer).1
    }

    /// Where the key of a field was written; like [`Target::span_of`] for what has no key.
    pub fn key_span_of(&self, pointer: &str) -> Span {
        self.find(pointer).0
    }

    fn find(&self, pointer: &str) -> (Span, Span) {
        let (mut node, mut spans) = (&self.node, (self.span, self.span));
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let index = token.parse::<usize>();
            if let Some((key, value)) = node.fields().iter().find(|(key, _)| key.text == token) {
                (node, spans) = (value, (key.span, value.span));
            } else if let Some(item) = index.ok().and_then(|index| node.items().get(index)) {
                (node, spans) = (item, (item.span, item.span));
            } else {
                break;
            }
        }
        spans
    }
}

/// A connection that points elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOverride {
    /// Its base URL here.
    pub base_url: String,
    /// Where that is written.
    pub span: Span,
    /// Where the connection is named.
    pub key_span: Span,
}

/// Reads base and overlay.
///
/// The `Config` is there whenever the base could be read at all, so that further checks can add what they find;
/// it may only be acted upon when no diagnostic is an error. Without an overlay no service has a target, unless
/// the base gives it one.
pub fn parse(
    base: &SourceFile,
    overlay: Option<(&EnvName, &SourceFile)>,
) -> (Option<Config>, Vec<Diagnostic>) {
    let mut problems = Problems::default();
    let config = read(base, overlay, &mut problems);
    (config, problems.finish())
}

/// [`parse`] into a list that goes on.
pub(crate) fn read(
    base: &SourceFile,
    overlay: Option<(&EnvName, &SourceFile)>,
    problems: &mut Problems,
) -> Option<Config> {
    let base_root = yaml::parse(BASE, base, problems);
    if let Some(root) = &base_root {
        shape::check(root, FileKind::Base, base, problems);
    }
    let overlay_root = overlay.and_then(|(environment, file)| {
        // Most of a large overlay is what `ss` wrote, and it is as it was written: nothing in it is the user's to mend.
        let users = overlay::own_block(&file.text).map(|start| {
            let mut users = file.clone();
            users.text.truncate(start);
            users
        });
        let root = yaml::parse(OVERLAY, users.as_ref().unwrap_or(file), problems)?;
        shape::check(&root, FileKind::Overlay, file, problems);
        build::check_environment(&root, environment, &file.name, problems);
        build::check_state(&root, file, problems);
        Some(root)
    });
    let base_root = base_root?;
    if let Some(root) = &overlay_root {
        build::check_services_exist(&base_root, root, problems);
    }
    let environment = overlay.map(|(environment, _)| environment.clone());
    Some(build::config(base_root, overlay_root, environment, problems))
}

/// What an overlay says by itself. Its problems were told when it was read the first time.
pub(crate) fn read_overlay_alone(environment: &EnvName, file: &SourceFile) -> Option<Config> {
    let mut told = Problems::default();
    let root = yaml::parse(OVERLAY, file, &mut told)?;
    Some(build::config(root, None, Some(environment.clone()), &mut told))
}
