//! The plan: what will be done, decided from data alone.
//!
//! [`decide`] is the only deciding in the project; it reads no clock, no network and no plugin code. A plan is
//! plain data: what is printed, saved and executed is the same object, and the engine never re-decides.

mod destroys;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ident::{EnvName, ServiceId, SystemName};
use crate::state::{PluginPin, Progress, Recorded, State};
use crate::value::{self, Difference};
pub use destroys::destroy;

/// Version of the plan's shape.
pub const PLAN_VERSION: u32 = 1;

/// What is done with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Made for the first time.
    Create,
    /// Changed in place.
    Update,
    /// Destroyed and made anew.
    Replace,
    /// Left as it is.
    Unchanged,
    /// Removed.
    Destroy,
    /// Not touched: no provisioner, or no target here.
    Skip,
}

impl Action {
    /// The action's name in JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Unchanged => "unchanged",
            Self::Destroy => "destroy",
            Self::Skip => "skip",
        }
    }

    /// Whether the vendor is asked to change something.
    pub fn changes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Replace | Self::Destroy)
    }
}

/// What a plugin's manifest says of one target type, as far as deciding needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// The target type.
    pub kind: String,
    /// The plugin that offers it.
    pub plugin: PluginPin,
    /// What a create makes, with `{field}` for fields of the target.
    pub creates: String,
    /// Whether it holds data.
    pub data: bool,
    /// Dotted paths of the fields that cannot be changed in place.
    pub immutable: BTreeSet<String>,
    /// Names of the credentials it gives.
    pub outputs: BTreeSet<String>,
    /// Names of the unsafe operations each change may use.
    pub operations: Operations,
}

/// The unsafe operations of a target's plugin, by change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Operations {
    /// While creating.
    pub create: Vec<String>,
    /// While updating.
    pub update: Vec<String>,
    /// While destroying.
    pub destroy: Vec<String>,
}

/// One name handed from a service to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Injection {
    /// The service that gives it.
    pub source: ServiceId,
    /// Its name there, and in the receiver's environment.
    pub name: String,
}

/// What the configuration wants of one service.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The service.
    pub id: ServiceId,
    /// Its target, or why there is none.
    pub target: Wanted,
    /// What it stands on.
    pub depends_on: BTreeSet<ServiceId>,
    /// `protect` in the overlay, when it is said.
    pub protect: Option<bool>,
}

/// The target of a service.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A target with a provisioner.
    Target {
        /// What the manifest says.
        facts: Arc<TargetFacts>,
        /// The fields, defaults filled in, without `type`.
        fields: Value,
        /// What is injected.
        inputs: Vec<Injection>,
    },
    /// No `target` in this environment.
    None,
    /// A target type that no plugin offers.
    Unknown(String),
}

/// One field that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Dotted path.
    pub path: String,
    /// The recorded value; `null` when new or secret.
    pub before: Option<Value>,
    /// The wanted value; `null` when gone or secret.
    pub after: Option<Value>,
    /// Whether this field forces a replace.
    pub replaces: bool,
    /// Whether the values are secret and left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// What will be done with one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The service.
    pub service: ServiceId,
    /// Its target type; empty for a service without a target.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is done.
    pub action: Action,
    /// The fields that change.
    pub changes: Vec<Change>,
    /// One line for a person, without the service and type: `will create (…)`.
    pub summary: String,
    /// The unsafe operations that this step approves.
    pub operations: Vec<String>,
    /// Services whose steps come first.
    pub after: BTreeSet<ServiceId>,
    /// With [`Action::Unchanged`]: becomes an update when a value injected from a service changed in this run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_inputs_change: bool,
    /// What to apply; absent for destroy and skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Apply>,
}

/// Everything the engine needs to apply a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// The plugin, exactly.
    pub plugin: PluginPin,
    /// The target, defaults filled in.
    pub target: Value,
    /// What is injected.
    pub inputs: Vec<Injection>,
    /// What it stands on.
    pub depends_on: BTreeSet<ServiceId>,
    /// Whether it holds data.
    pub data: bool,
    /// Whether it is protected from now on.
    pub protect: bool,
    /// The unsafe operations of an update, when `if_inputs_change` comes true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_operations: Vec<String>,
    /// The unsafe operations of the destroy half of a replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destroy_operations: Vec<String>,
}

/// A step that must not run without the user's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The service.
    pub service: ServiceId,
    /// Why, and what allows it.
    pub reason: String,
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// To create.
    pub create: usize,
    /// To update.
    pub update: usize,
    /// To replace.
    pub replace: usize,
    /// Unchanged.
    pub unchanged: usize,
    /// To destroy.
    pub destroy: usize,
    /// Skipped.
    pub skip: usize,
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// `plan`.
    pub kind: String,
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvName,
    /// The state it was decided against.
    pub lineage: String,
    /// And its serial: a plan for another serial is stale.
    pub serial: u64,
    /// The steps, a service before those that stand on it; destroys last.
    pub steps: Vec<Step>,
    /// How many of each.
    pub counts: Counts,
    /// What needs the user's word; `deploy` refuses while there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
}

impl Plan {
    /// Whether nothing will be asked of any vendor.
    pub fn is_empty(&self) -> bool {
        !self.steps.iter().any(|step| step.action.changes())
    }

    /// The part of the plan that concerns some services. Decided on the whole, so that what is left out is
    /// neither taken for gone nor for done.
    #[must_use]
    pub fn only(mut self, services: &BTreeSet<ServiceId>) -> Self {
        self.steps.retain(|step| services.contains(&step.service));
        self.refused.retain(|refusal| services.contains(&refusal.service));
        self.counts = count(&self.steps);
        self
    }
}

/// What the user allowed on the command line.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// `--allow-replace`.
    pub replace: BTreeSet<ServiceId>,
    /// `--allow-destroy`.
    pub destroy: BTreeSet<ServiceId>,
}

/// Everything that deciding looks at.
pub struct Question<'a> {
    /// The system.
    pub system: &'a SystemName,
    /// The environment.
    pub environment: &'a EnvName,
    /// What is wanted, a service before those that stand on it.
    pub desired: &'a [Desired],
    /// What is recorded.
    pub state: &'a State,
    /// Keyed digests of what the vault holds: service → name → digest.
    pub digests: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// What the user allowed.
    pub allowed: &'a Allowed,
}

/// Decides what to do. Linear in services and dependencies, but for sorting.
pub fn decide(question: &Question<'_>) -> Plan {
    let mut steps: Vec<Step> = Vec::with_capacity(question.desired.len());
    let mut refused = Vec::new();
    let gone = destroys::gone(question);
    // Services whose outputs may differ after this run: what stands on them is conditional.
    let mut may_change = gone.clone();
    for desired in question.desired.iter().filter(|desired| !gone.contains(&desired.id)) {
        let recorded = question.state.services.get(&desired.id);
        let mut step = decide_one(question, desired, recorded, &may_change);
        // What goes away goes last, and is not waited for.
        step.after.retain(|id| !gone.contains(id));
        if step.action.changes() || step.if_inputs_change {
            may_change.insert(&desired.id);
        }
        steps.push(step);
    }
    steps.extend(destroys::steps(question.state, &gone));
    let protect = question.desired.iter();
    let protect = protect.filter_map(|desired| Some((&desired.id, desired.protect?))).collect();
    for step in &steps {
        refuse(question, step, &protect, &mut refused);
    }
    let counts = count(&steps);
    Plan {
        version: PLAN_VERSION,
        kind: "plan".to_owned(),
        system: question.system.clone(),
        environment: question.environment.clone(),
        lineage: question.state.lineage.clone(),
        serial: question.state.serial,
        steps,
        counts,
        refused,
    }
}

fn decide_one(
    question: &Question<'_>,
    desired: &Desired,
    recorded: Option<&Recorded>,
    may_change: &BTreeSet<&ServiceId>,
) -> Step {
    let (facts, fields, inputs) = match &desired.target {
        Wanted::Target { facts, fields, inputs } => (facts, fields, inputs),
        Wanted::None => return skip_step(desired, "", "skip (no target in this environment)"),
        Wanted::Unknown(kind) => {
            return skip_step(desired, kind, &format!("skip (no provisioner offers `{kind}`)"));
        }
    };
    let mut apply = Apply {
        plugin: facts.plugin.clone(),
        target: fields.clone(),
        inputs: inputs.clone(),
        depends_on: desired.depends_on.clone(),
        data: facts.data,
        protect: desired.protect.unwrap_or(recorded.is_some_and(|record| record.protect)),
        update_operations: Vec::new(),
        destroy_operations: Vec::new(),
    };
    let mut step = Step {
        service: desired.id.clone(),
        kind: facts.kind.clone(),
        action: Action::Unchanged,
        changes: Vec::new(),
        summary: "unchanged".to_owned(),
        operations: Vec::new(),
        after: desired.depends_on.clone(),
        if_inputs_change: false,
        wanted: None,
    };
    match recorded {
        None => {
            step.action = Action::Create;
            step.summary = format!("will create ({})", fill_template(&facts.creates, fields));
            step.operations.clone_from(&facts.operations.create);
        }
        Some(record) if record.resource_id.is_none() => {
            step.action = Action::Create;
            step.summary = format!(
                "will create ({}), after an interrupted try",
                fill_template(&facts.creates, fields)
            );
            step.operations.clone_from(&facts.operations.create);
        }
        Some(record) => decide_existing(question, facts, record, may_change, &mut step, &mut apply),
    }
    step.wanted = Some(apply);
    step
}

fn decide_existing(
    question: &Question<'_>,
    facts: &TargetFacts,
    record: &Recorded,
    may_change: &BTreeSet<&ServiceId>,
    step: &mut Step,
    apply: &mut Apply,
) {
    let replaces_kind = record.provider != facts.kind;
    if replaces_kind {
        step.changes.push(Change {
            path: "type".to_owned(),
            before: Some(Value::String(record.provider.clone())),
            after: Some(Value::String(facts.kind.clone())),
            replaces: true,
            secret: false,
        });
    } else {
        let differences = value::diff(&record.target, &apply.target);
        step.changes.extend(differences.into_iter().map(|difference| change(facts, difference)));
    }
    step.changes.extend(input_changes(question, record, &apply.inputs));
    if step.changes.iter().any(|change| change.replaces) {
        step.action = Action::Replace;
        let forced: Vec<&str> = step
            .changes
            .iter()
            .filter(|change| change.replaces)
            .map(|change| change.path.as_str())
            .collect();
        step.summary = format!("will replace (because of {})", forced.join(", "));
        step.operations.clone_from(&facts.operations.create);
        // Another type's resource is destroyed by the plugin that offers it, with operations not known here.
        if !replaces_kind {
            apply.destroy_operations.clone_from(&facts.operations.destroy);
        }
    } else if !step.changes.is_empty() {
        step.action = Action::Update;
        let fields: Vec<&str> = step.changes.iter().map(|change| change.path.as_str()).collect();
        step.summary = format!("will update ({})", fields.join(", "));
        step.operations.clone_from(&facts.operations.update);
    } else if record.progress != Progress::Complete {
        step.action = Action::Update;
        step.summary = match record.progress {
            Progress::Unverified => "will update (what is there may not be as recorded)".to_owned(),
            Progress::Partial | Progress::Complete => {
                "will update (finishes an interrupted deploy)".to_owned()
            }
        };
        step.operations.clone_from(&facts.operations.update);
    } else if apply.inputs.iter().any(|input| may_change.contains(&input.source)) {
        step.if_inputs_change = true;
        step.summary = "unchanged, unless an injected value changes".to_owned();
        apply.update_operations.clone_from(&facts.operations.update);
    }
}

fn change(facts: &TargetFacts, difference: Difference) -> Change {
    let replaces = facts.immutable.iter().any(|path| touches(&difference, path));
    Change {
        path: difference.path,
        before: difference.before,
        after: difference.after,
        replaces,
        secret: false,
    }
}

/// Whether a difference is one of the field at a path: the field itself, a part of it, or a map that has it on
/// one side only.
fn touches(difference: &Difference, path: &str) -> bool {
    let inside = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if inside(&difference.path, path) {
        return true;
    }
    let Some(rest) = path.strip_prefix(&difference.path).and_then(|rest| rest.strip_prefix('.'))
    else {
        return false;
    };
    let find = |side: &Option<Value>| {
        rest.split('.').try_fold(side.as_ref()?, |value, name| value.get(name)).cloned()
    };
    find(&difference.before) != find(&difference.after)
}

fn input_changes(question: &Question<'_>, record: &Recorded, inputs: &[Injection]) -> Vec<Change> {
    let secret = |name: &str| Change {
        path: format!("inject.{name}"),
        before: None,
        after: None,
        replaces: false,
        secret: true,
    };
    let mut changes = Vec::new();
    for input in inputs {
        let now =
            question.digests.get(input.source.as_str()).and_then(|names| names.get(&input.name));
        let then = record.inputs.get(&input.name);
        // Without the vault at hand (a fresh checkout) nothing can be said of a value, so nothing is.
        let differs = match (then, now) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(then), Some(now)) => then != now,
        };
        if differs {
            changes.push(secret(&input.name));
        }
    }
    let wanted: BTreeSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    changes.extend(
        record
            .inputs
            .keys()
            .filter(|name| !wanted.contains(name.as_str()))
            .map(|name| secret(name)),
    );
    changes
}

fn skip_step(desired: &Desired, kind: &str, summary: &str) -> Step {
    Step {
        service: desired.id.clone(),
        kind: kind.to_owned(),
        action: Action::Skip,
        changes: Vec::new(),
        summary: summary.to_owned(),
        operations: Vec::new(),
        after: desired.depends_on.clone(),
        if_inputs_change: false,
        wanted: None,
    }
}

fn refuse(
    question: &Question<'_>,
    step: &Step,
    said: &BTreeMap<&ServiceId, bool>,
    refused: &mut Vec<Refusal>,
) {
    let Some(record) = question.state.services.get(&step.service) else { return };
    let (verb, allowed) = match step.action {
        Action::Replace => ("replace", &question.allowed.replace),
        Action::Destroy => ("destroy", &question.allowed.destroy),
        _ => return,
    };
    let protected = match &step.wanted {
        Some(apply) => apply.protect,
        // The target was taken away; what the overlay says beside it still counts.
        None => said.get(&step.service).copied().unwrap_or(record.protect),
    };
    let id = &step.service;
    if protected {
        refused.push(is_protected(id, verb));
    } else if record.data && !allowed.contains(id) {
        refused.push(Refusal {
            service: id.clone(),
            reason: format!(
                "to {verb} `{id}` would lose its data; allow it with `--allow-{verb}={id}`"
            ),
        });
    }
}

fn is_protected(id: &ServiceId, verb: &str) -> Refusal {
    let reason = format!(
        "`{id}` is protected; set `protect: false` for it in the overlay, deploy, then {verb} it"
    );
    Refusal { service: id.clone(), reason }
}

fn count(steps: &[Step]) -> Counts {
    let mut counts = Counts::default();
    for step in steps {
        *match step.action {
            Action::Create => &mut counts.create,
            Action::Update => &mut counts.update,
            Action::Replace => &mut counts.replace,
            Action::Unchanged => &mut counts.unchanged,
            Action::Destroy => &mut counts.destroy,
            Action::Skip => &mut counts.skip,
        } += 1;
    }
    counts
}

/// Fills `{field}` with fields of the target; a field that is not there leaves its braces empty of text.
fn fill_template(template: &str, fields: &Value) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = from.split_once('}') else {
            text.push('{');
            rest = from;
            continue;
        };
        match fields.get(name) {
            Some(Value::String(value)) => text.push_str(value),
            Some(other) => text.push_str(&other.to_string()),
            None => {}
        }
        rest = after;
    }
    text.push_str(rest);
    text
}
