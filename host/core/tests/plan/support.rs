//! Worlds to decide in: what is wanted, what is recorded, what the vault holds, and plans as text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use ss_core::ident::{EnvName, PluginName, ServiceId, SystemName};
use ss_core::plan::{
    Allowed, Desired, Injection, Operations, Plan, Question, Step, TargetFacts, Wanted, decide,
};
use ss_core::state::{PluginPin, Progress, Recorded, State};

pub fn id(text: &str) -> ServiceId {
    ServiceId::new(text).expect("a service id")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn facts(
    kind: &str,
    creates: &str,
    data: bool,
    immutable: &[&str],
    thing: &str,
) -> Arc<TargetFacts> {
    let changed = if thing == "App" { "Machine" } else { thing };
    Arc::new(TargetFacts {
        kind: kind.to_owned(),
        plugin: PluginPin {
            name: PluginName::new(kind).expect("a plugin name"),
            version: "0.1.0".to_owned(),
            digest: "sha256:00".to_owned(),
        },
        creates: creates.to_owned(),
        data,
        immutable: names(immutable).into_iter().collect(),
        outputs: BTreeSet::new(),
        operations: Operations {
            create: vec![format!("create{thing}")],
            update: vec![format!("update{changed}")],
            destroy: vec![format!("delete{thing}")],
        },
    })
}

pub fn neon(fields: Value) -> Wanted {
    let creates = "Neon project + branch + role + db";
    let facts = facts("neon", creates, true, &["region"], "Project");
    Wanted::Target { facts, fields, inputs: Vec::new() }
}

pub fn fly(fields: Value) -> Wanted {
    let creates = "Fly app + machine, region={region}";
    let facts = facts("fly", creates, false, &["app", "disk.kind"], "App");
    Wanted::Target { facts, fields, inputs: Vec::new() }
}

pub fn nothing() -> Wanted {
    Wanted::None
}

pub fn unknown(kind: &str) -> Wanted {
    Wanted::Unknown(kind.to_owned())
}

/// Everything that deciding looks at.
#[derive(Debug, Clone)]
pub struct World {
    desired: Vec<Desired>,
    state: State,
    digests: BTreeMap<String, BTreeMap<String, String>>,
    replace: BTreeSet<ServiceId>,
    destroy: BTreeSet<ServiceId>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            desired: Vec::new(),
            state: State::empty("lineage"),
            digests: BTreeMap::new(),
            replace: BTreeSet::new(),
            destroy: BTreeSet::new(),
        }
    }
}

impl World {
    fn desired(&mut self, service: &str) -> &mut Desired {
        let found = self.desired.iter_mut().find(|desired| desired.id.as_str() == service);
        found.expect("a service that is wanted")
    }

    /// Wants a service; one that was wanted before gets this target, and loses what it stood on with its inputs.
    pub fn want(mut self, service: &str, target: Wanted) -> Self {
        let made = Desired { id: id(service), target, depends_on: BTreeSet::new(), protect: None };
        match self.desired.iter_mut().find(|desired| desired.id == made.id) {
            Some(desired) => *desired = made,
            None => self.desired.push(made),
        }
        self
    }

    pub fn unwanted(mut self, service: &str) -> Self {
        self.desired.retain(|desired| desired.id.as_str() != service);
        self
    }

    pub fn nothing_wanted(mut self) -> Self {
        self.desired.clear();
        self
    }

    pub fn wanting_as(mut self, other: &World) -> Self {
        self.desired.clone_from(&other.desired);
        self
    }

    pub fn stands_on(mut self, service: &str, below: &str) -> Self {
        self.desired(service).depends_on.insert(id(below));
        self
    }

    pub fn protect(mut self, service: &str, protect: bool) -> Self {
        self.desired(service).protect = Some(protect);
        self
    }

    /// Injects a name; the vault holds a value for it.
    pub fn injects(mut self, service: &str, source: &str, name: &str) -> Self {
        if let Wanted::Target { inputs, .. } = &mut self.desired(service).target {
            inputs.push(Injection { source: id(source), name: name.to_owned() });
        }
        let value = format!("digest of {source}.{name}");
        if !self.digests.get(source).is_some_and(|names| names.contains_key(name)) {
            return self.vault(source, name, &value);
        }
        self
    }

    pub fn vault(mut self, source: &str, name: &str, digest: &str) -> Self {
        let names = self.digests.entry(source.to_owned()).or_default();
        names.insert(name.to_owned(), digest.to_owned());
        self
    }

    pub fn without_vault(mut self) -> Self {
        self.digests.clear();
        self
    }

    pub fn allow_replace(mut self, service: &str) -> Self {
        self.replace.insert(id(service));
        self
    }

    pub fn allow_destroy(mut self, service: &str) -> Self {
        self.destroy.insert(id(service));
        self
    }

    pub fn record(&mut self, service: &str) -> &mut Recorded {
        self.state.services.get_mut(&id(service)).expect("a service that is recorded")
    }

    /// Records what a complete deploy of everything wanted would record.
    pub fn deployed(mut self) -> Self {
        for desired in &self.desired {
            let Wanted::Target { facts, fields, inputs } = &desired.target else { continue };
            let digest = |input: &Injection| {
                let digest = self.digests[input.source.as_str()][&input.name].clone();
                (input.name.clone(), digest)
            };
            let record = Recorded {
                provider: facts.kind.clone(),
                plugin: facts.plugin.clone(),
                resource_id: Some(format!("id of {}", desired.id)),
                url: None,
                region: None,
                attributes: json!({}),
                schema: 1,
                target: fields.clone(),
                config_digest: String::new(),
                inputs: inputs.iter().map(digest).collect(),
                outputs: BTreeSet::new(),
                depends_on: desired.depends_on.clone(),
                owned: BTreeMap::new(),
                protect: desired.protect.unwrap_or(false),
                data: facts.data,
                generation: 0,
                progress: Progress::Complete,
                provisioned_at: "2026-05-02T14:32:01Z".to_owned(),
            };
            self.state.services.insert(desired.id.clone(), record);
        }
        self
    }

    pub fn destroy(&self, service: Option<&str>) -> Plan {
        let (system, environment) = system();
        let only = service.map(|service| BTreeSet::from([id(service)]));
        ss_core::plan::destroy(&system, &environment, &self.state, only.as_ref())
    }

    pub fn plan(&self) -> Plan {
        let (system, environment) = system();
        decide(&Question {
            system: &system,
            environment: &environment,
            desired: &self.desired,
            state: &self.state,
            digests: &self.digests,
            allowed: &Allowed { replace: self.replace.clone(), destroy: self.destroy.clone() },
        })
    }
}

fn system() -> (SystemName, EnvName) {
    (SystemName::new("my-app").expect("a name"), EnvName::new("prod").expect("a name"))
}

/// A plan as text, one line a step.
pub fn show(plan: &Plan) -> String {
    let mut text: String = plan.steps.iter().map(show_step).collect();
    let counts = serde_json::to_value(plan.counts).expect("counts are data");
    let counts = counts.as_object().expect("an object").iter();
    let order = ["create", "update", "replace", "unchanged", "destroy", "skip"];
    let mut counts: Vec<_> = counts.filter(|(_, count)| **count != json!(0)).collect();
    counts.sort_by_key(|(name, _)| order.iter().position(|known| known == name));
    let counts: Vec<String> =
        counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    text.push_str(&format!("{}\n", counts.join(", ")));
    for refusal in &plan.refused {
        text.push_str(&format!("refused {}: {}\n", refusal.service, refusal.reason));
    }
    text
}

fn show_step(step: &Step) -> String {
    let mut line =
        format!("{} {} {}: {}", step.action.as_str(), step.service, step.kind, step.summary);
    let destroys = step.wanted.as_ref().map(|apply| apply.destroy_operations.join(", "));
    let destroys = destroys.filter(|operations| !operations.is_empty());
    let destroys = destroys.map(|operations| format!("; destroys with {operations}"));
    if !step.operations.is_empty() {
        let operations = step.operations.join(", ");
        line.push_str(&format!(" [{operations}{}]", destroys.unwrap_or_default()));
    }
    if !step.after.is_empty() {
        let after: Vec<&str> = step.after.iter().map(ServiceId::as_str).collect();
        line.push_str(&format!(" after {}", after.join(", ")));
    }
    if step.if_inputs_change {
        let operations = step.wanted.as_ref().map(|apply| apply.update_operations.join(", "));
        line.push_str(&format!(", if inputs change [{}]", operations.unwrap_or_default()));
    }
    line.push('\n');
    let side = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
    for change in &step.changes {
        let replaces = if change.replaces { " (replaces)" } else { "" };
        match change.secret {
            true => line.push_str(&format!("  {}: (secret){replaces}\n", change.path)),
            false => line.push_str(&format!(
                "  {}: {} → {}{replaces}\n",
                change.path,
                side(&change.before),
                side(&change.after)
            )),
        }
    }
    line
}

/// Worlds of a few services, in order: each stands on some before it and injects from some of those.
pub fn worlds() -> impl Strategy<Value = World> {
    let service =
        (0..5_usize, any::<u16>(), 0..4_u8, proptest::option::of(any::<bool>()), any::<bool>());
    (proptest::collection::vec(service, 0..8), any::<u64>()).prop_map(|(services, shuffle)| {
        let mut world = World::default();
        let count = services.len();
        // Names do not follow the order, so that nothing leans on the alphabet.
        let name = |number: usize| format!("s{}", (number * 7 + shuffle as usize % 8 * 5) % 101);
        for (number, (kind, below, field, protect, injects)) in services.into_iter().enumerate() {
            let fields =
                json!({"app": format!("app{field}"), "region": "iad", "deep": {"n": field}});
            let target = match kind {
                0 => nothing(),
                1 => unknown("noen"),
                2 | 3 => fly(fields),
                _ => neon(fields),
            };
            let service = name(number);
            world = world.want(&service, target);
            if let Some(protect) = protect {
                world = world.protect(&service, protect);
            }
            for source in (0..number).filter(|source| below >> source & 1 == 1) {
                world = world.stands_on(&service, &name(source));
                if injects {
                    world = world.injects(&service, &name(source), &format!("NAME_{source}"));
                }
            }
        }
        assert_eq!(world.desired.len(), count, "names are apart");
        world
    })
}
