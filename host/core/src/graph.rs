//! The services as a graph: what stands on what, in which order they go, what is asked of the planner.
//!
//! Everything is iterative and linear in services and dependencies, but for the heap that breaks ties.

mod check;
mod index;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use crate::config::{Config, Service};
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ident::ServiceId;
use crate::plan::{Desired, TargetFacts, Wanted};
use index::Index;

pub use check::{check, check_outputs};

/// How many dependencies may result from passing through services without a target.
pub const DEPENDENCIES_MAX: usize = 1_000_000;

/// The services, each after everything it stands on; ties go by the order in the base.
///
/// The error is the cycles, one diagnostic each. Dependencies that do not exist are passed over; [`check`]
/// reports them.
pub fn order(config: &Config) -> Result<Vec<ServiceId>, Vec<Diagnostic>> {
    let index = Index::new(config);
    let order = sorted(&index);
    if order.len() < index.len() {
        return Err(check::cycles(&index));
    }
    Ok(order.into_iter().map(|place| index.service(place).id.clone()).collect())
}

/// The places of all services that are not behind a cycle, in order.
fn sorted(index: &Index<'_>) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..index.len()).map(|place| index.below(place).len()).collect();
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); index.len()];
    for place in 0..index.len() {
        for &below in index.below(place) {
            above[below].push(place);
        }
    }
    let free = (0..index.len()).filter(|&place| waiting[place] == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(Reverse).collect();
    let mut order = Vec::with_capacity(index.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for &next in &above[place] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    order
}

/// The services named, and everything they stand on.
pub fn select(
    config: &Config,
    wanted: &[ServiceId],
) -> Result<BTreeSet<ServiceId>, Vec<Diagnostic>> {
    let mut selected: BTreeSet<ServiceId> = BTreeSet::new();
    let mut open: Vec<&ServiceId> = wanted.iter().collect();
    let unknown: Vec<Diagnostic> = wanted
        .iter()
        .filter(|id| !config.services.contains_key(*id))
        .map(|id| unknown_service(config, id))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    while let Some(id) = open.pop() {
        let Some(service) = config.services.get(id) else { continue };
        if selected.insert(id.clone()) {
            open.extend(service.depends_on.iter().map(|dependency| &dependency.value));
        }
    }
    Ok(selected)
}

fn unknown_service(config: &Config, id: &ServiceId) -> Diagnostic {
    let names = || config.services.keys().map(ServiceId::as_str);
    let diagnostic = Diagnostic::error(Code::UnknownService, format!("there is no service `{id}`"));
    match did_you_mean(id.as_str(), names()) {
        Some(help) => diagnostic.help(help),
        None => diagnostic.help(format!("the services are {}", list(names()))),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.take(20).collect();
    names.join(", ")
}

/// What is asked of the planner, in order. A dependency on a service that is skipped here counts as one on
/// whatever that service stands on.
///
/// `resolved` holds the target fields with the defaults filled in, for every service whose target type has facts.
pub fn desired(
    config: &Config,
    facts: &BTreeMap<String, Arc<TargetFacts>>,
    resolved: &BTreeMap<ServiceId, Value>,
) -> Result<Vec<Desired>, Vec<Diagnostic>> {
    let index = Index::new(config);
    let order = sorted(&index);
    if order.len() < index.len() {
        return Err(check::cycles(&index));
    }
    let wanted = |service: &Service| {
        let Some(target) = &service.target else { return Wanted::None };
        match facts.get(&target.kind.value) {
            Some(facts) => Wanted::Target {
                facts: facts.clone(),
                fields: resolved.get(&service.id).unwrap_or(&target.fields).clone(),
                inputs: service.inject_from.iter().map(|input| input.value.clone()).collect(),
            },
            None => Wanted::Unknown(target.kind.value.clone()),
        }
    };
    let mut through = Through::new(&index, facts);
    let mut desired = Vec::with_capacity(order.len());
    for place in order {
        let service = index.service(place);
        desired.push(Desired {
            id: service.id.clone(),
            target: wanted(service),
            depends_on: through.of(place).map_err(|diagnostic| vec![diagnostic])?,
            protect: service.protect,
        });
    }
    Ok(desired)
}

/// What each service stands on when those that are skipped stand aside. Filled in order.
struct Through<'a> {
    index: &'a Index<'a>,
    skipped: Vec<bool>,
    /// Shared where a service adds nothing of its own, so that long rows of skipped services cost nothing.
    below: Vec<Rc<BTreeSet<usize>>>,
    passed_on: usize,
}

impl<'a> Through<'a> {
    fn new(index: &'a Index<'a>, facts: &BTreeMap<String, Arc<TargetFacts>>) -> Self {
        let skipped = |place| {
            let target = index.service(place).target.as_ref();
            !target.is_some_and(|target| facts.contains_key(&target.kind.value))
        };
        let skipped = (0..index.len()).map(skipped).collect();
        Self { index, skipped, below: vec![Rc::default(); index.len()], passed_on: 0 }
    }

    /// Everything below the service must have been asked for before.
    fn of(&mut self, place: usize) -> Result<BTreeSet<ServiceId>, Diagnostic> {
        let (through, direct): (Vec<usize>, Vec<usize>) =
            self.index.below(place).iter().partition(|below| self.skipped[**below]);
        let mut sets =
            through.iter().map(|&below| &self.below[below]).filter(|set| !set.is_empty());
        let found = match (sets.next(), sets.next(), direct.is_empty()) {
            (Some(only), None, true) => only.clone(),
            (first, second, _) => {
                let passed = first.into_iter().chain(second).chain(sets);
                Rc::new(
                    passed
                        .flat_map(|set| set.iter().copied())
                        .chain(direct.iter().copied())
                        .collect(),
                )
            }
        };
        // Only this can grow faster than the files did.
        self.passed_on += found.len() - direct.len();
        if self.passed_on > DEPENDENCIES_MAX {
            return Err(self.too_many(place));
        }
        self.below[place] = found.clone();
        Ok(found.iter().map(|&below| self.index.service(below).id.clone()).collect())
    }

    fn too_many(&self, place: usize) -> Diagnostic {
        let message = "services without a target pass on more than a million dependencies";
        let span = self.index.service(place).span;
        Diagnostic::error(Code::TooManyDependencies, message)
            .at(span, "it goes over the limit here")
            .help("depend on the services that are really needed")
    }
}
