//! What is recorded and no longer wanted: destroyed last, what stands on something before it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, PLAN_VERSION, Plan, Question, Step, Wanted, count, is_protected};
use crate::ident::{EnvName, ServiceId, SystemName};
use crate::state::{Recorded, State};

/// The plan of `ss destroy`: everything that is recorded, or `only` these services and what stands on them.
pub fn destroy(
    system: &SystemName,
    environment: &EnvName,
    state: &State,
    only: Option<&BTreeSet<ServiceId>>,
) -> Plan {
    let mut open: Vec<&ServiceId> = match only {
        None => state.services.keys().collect(),
        Some(only) => state.services.keys().filter(|id| only.contains(id)).collect(),
    };
    // What stands on a service that goes cannot stay.
    let above = above(state, |_| true);
    let mut chosen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if chosen.insert(id) {
            open.extend(above.get(id).into_iter().flatten());
        }
    }
    let steps = steps(state, &chosen);
    let protected = chosen.iter().filter(|id| state.services[**id].protect);
    Plan {
        version: PLAN_VERSION,
        kind: "plan".to_owned(),
        system: system.clone(),
        environment: environment.clone(),
        lineage: state.lineage.clone(),
        serial: state.serial,
        counts: count(&steps),
        steps,
        refused: protected.map(|id| is_protected(id, "destroy")).collect(),
    }
}

/// Recorded services that the configuration does not name any more, or names without a target.
pub(super) fn gone<'a>(question: &Question<'a>) -> BTreeSet<&'a ServiceId> {
    let kept = question.desired.iter().filter(|desired| !matches!(desired.target, Wanted::None));
    let kept: BTreeSet<&ServiceId> = kept.map(|desired| &desired.id).collect();
    question.state.services.keys().filter(|id| !kept.contains(id)).collect()
}

/// A step for each of them, those that others stand on last. Each waits for everything recorded as standing on it.
pub(super) fn steps(state: &State, gone: &BTreeSet<&ServiceId>) -> Vec<Step> {
    let above = above(state, |id| gone.contains(id));
    let mut waiting: BTreeMap<&ServiceId, usize> = BTreeMap::new();
    for id in gone {
        let count =
            above.get(id).map_or(0, |above| above.iter().filter(|id| gone.contains(*id)).count());
        waiting.insert(id, count);
    }
    let mut ready: BTreeSet<&ServiceId> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    let mut steps = Vec::with_capacity(gone.len());
    // An interrupted deploy that turned dependencies round can leave records that stand on each other: then the
    // first of those left goes first, and waits for none of them.
    while let Some(id) = ready.pop_first().or_else(|| waiting.keys().next().copied()) {
        waiting.remove(id);
        let after =
            above.get(id).into_iter().flatten().filter(|above| !waiting.contains_key(*above));
        steps.push(step(id, &state.services[id], after.map(|id| (*id).clone()).collect()));
        for below in &state.services[id].depends_on {
            if let Some(count) = waiting.get_mut(below) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.insert(below);
                }
            }
        }
    }
    steps
}

/// What is recorded as standing on each of some services.
fn above(
    state: &State,
    wanted: impl Fn(&ServiceId) -> bool,
) -> BTreeMap<&ServiceId, BTreeSet<&ServiceId>> {
    let mut above: BTreeMap<&ServiceId, BTreeSet<&ServiceId>> = BTreeMap::new();
    for (id, record) in &state.services {
        for below in record.depends_on.iter().filter(|below| *below != id && wanted(below)) {
            above.entry(below).or_default().insert(id);
        }
    }
    above
}

fn step(id: &ServiceId, record: &Recorded, after: BTreeSet<ServiceId>) -> Step {
    let summary = if record.data { "will destroy (and lose its data)" } else { "will destroy" };
    Step {
        service: id.clone(),
        kind: record.provider.clone(),
        action: Action::Destroy,
        changes: Vec::new(),
        summary: summary.to_owned(),
        operations: Vec::new(),
        after,
        if_inputs_change: false,
        wanted: None,
    }
}
