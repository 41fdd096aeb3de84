//! As much of the manifest as the scripted host needs, and the rules that follow from it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::pointer;
use crate::host::raw::Call;

/// What the engine would be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `apply` without a record, or resuming one.
    Create,
    /// `apply` of a change.
    Update,
    /// `read`: only GET and HEAD.
    Read,
    /// `destroy`.
    Destroy,
}

#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    targets: Vec<Target>,
    #[serde(default)]
    connections: Vec<Connection>,
}

#[derive(Debug, Deserialize)]
struct Target {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    schema: Value,
}

#[derive(Debug, Deserialize)]
struct Connection {
    base_url: String,
    operations: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    name: String,
    route: String,
    #[serde(default)]
    query: Vec<String>,
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    #[serde(default, rename = "in")]
    phases: Vec<String>,
    #[serde(default)]
    pub(super) owns: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) adopts: Vec<Adoption>,
    #[serde(default)]
    destroys: bool,
    #[serde(default)]
    pub(super) secrets: Vec<String>,
    #[serde(default)]
    fills: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Adoption {
    pub(super) param: String,
    pub(super) id: Option<String>,
    pub(super) mark: String,
}

impl Manifest {
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).expect("the manifest can be read")
    }

    /// The operation of a name, with the base URL it goes to.
    pub(super) fn operation(&self, name: &str) -> Option<(&Operation, &str)> {
        self.connections.iter().find_map(|connection| {
            let operation = connection.operations.iter().find(|one| one.name == name)?;
            Some((operation, connection.base_url.as_str()))
        })
    }

    /// Whether ids of this parameter are owned: some operation makes or adopts them, or they choose a host.
    pub(super) fn is_owned_param(&self, param: &str) -> bool {
        self.connections.iter().any(|connection| {
            params_of(&connection.base_url).any(|name| name == param)
                || connection.operations.iter().any(|operation| {
                    operation.owns.contains_key(param)
                        || operation.adopts.iter().any(|adoption| adoption.param == param)
                })
        })
    }

    /// The target with the defaults of its schema filled in, one level deep like most targets.
    pub(super) fn with_defaults(&self, target: Value) -> Value {
        let Value::Object(mut fields) = target else { panic!("a target is an object") };
        let kind = fields.get("type").and_then(Value::as_str);
        let wanted = self.targets.iter().find(|target| Some(target.kind.as_str()) == kind);
        let target = wanted.or(self.targets.first()).expect("the manifest has a target");
        fill_defaults(&target.schema, &mut fields);
        Value::Object(fields)
    }
}

impl Operation {
    /// Panics when the host would refuse the call, whatever the ids.
    pub(super) fn check(&self, base_url: &str, phase: Phase, call: &Call) {
        let name = &self.name;
        let needed = params_of(base_url).chain(params_of(&self.route)).collect::<Vec<_>>();
        for param in &needed {
            let given =
                call.params.iter().any(|(given, value)| given == param && !value.is_empty());
            assert!(given, "`{name}` needs the parameter `{param}`");
        }
        for (index, (param, _)) in call.params.iter().enumerate() {
            let twice = call.params[..index].iter().any(|(earlier, _)| earlier == param);
            assert!(!twice, "`{name}` is given `{param}` twice");
            let declared = needed.contains(&param.as_str())
                || self.query.contains(param)
                || self.request_headers.contains_key(param);
            assert!(declared, "`{name}` declares no parameter `{param}`");
        }
        assert!(self.is_allowed(phase), "`{name}` is not allowed in {phase:?}");
        assert!(!self.is_read() || call.body.is_none(), "`{name}` is a read and takes no body");
        for fill in &call.fill {
            let declared = self.fills.iter().any(|pattern| pointer::matches(pattern, &fill.name));
            assert!(declared, "`{name}` may not be filled at `{}`", fill.name);
        }
    }

    /// Parameters whose ids must be the service's own: of every write, of reads that yield secrets, and of
    /// every request whose host they choose.
    pub(super) fn guarded<'a>(&'a self, base_url: &'a str) -> impl Iterator<Item = &'a str> {
        let all = !self.is_read() || !self.secrets.is_empty();
        params_of(base_url).chain(params_of(&self.route).filter(move |_| all))
    }

    /// Whether it only reads.
    fn is_read(&self) -> bool {
        self.route.starts_with("GET ") || self.route.starts_with("HEAD ")
    }

    fn is_allowed(&self, phase: Phase) -> bool {
        let says = |name: &str| self.phases.iter().any(|one| one == name);
        self.is_read()
            || match phase {
                Phase::Create => says("create"),
                Phase::Update => says("update"),
                Phase::Destroy => self.destroys || says("destroy"),
                Phase::Read => false,
            }
    }
}

fn params_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn fill_defaults(schema: &Value, fields: &mut Map<String, Value>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        match (property.get("default"), fields.get_mut(name)) {
            (Some(default), None) => {
                fields.insert(name.clone(), default.clone());
            }
            (_, Some(Value::Object(inner))) => fill_defaults(property, inner),
            _ => {}
        }
    }
}
