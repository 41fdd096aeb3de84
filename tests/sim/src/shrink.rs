//! A smaller case that breaks a promise as well: fewer acts, fewer faults, fewer services.

use crate::case::{Act, Case, Fault};
use crate::world::{Broken, live};

/// Lives that are tried at most.
const LIVES_MAX: usize = 2_000;

/// The smallest case that was found from this one, and what it breaks; `None` when this one breaks nothing.
pub fn shrink(case: &Case) -> Option<(Case, Broken)> {
    let mut broken = live(case).err()?;
    let mut smallest = case.clone();
    let mut lives = 0;
    'again: loop {
        for smaller in smaller(&smallest) {
            lives += 1;
            if lives > LIVES_MAX {
                break 'again;
            }
            if let Err(also) = live(&smaller) {
                (smallest, broken) = (smaller, also);
                continue 'again;
            }
        }
        break;
    }
    Some((smallest, broken))
}

/// Cases with a little less, the largest bites first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for count in [case.wishes.len() / 2, case.wishes.len() - 1] {
        if count > 0 && count < case.wishes.len() {
            let wishes = case.wishes[..count].to_vec();
            all.push(Case { wishes, ..case.clone() });
        }
    }
    for at in 0..case.acts.len() {
        let mut less = case.clone();
        less.acts.remove(at);
        all.push(less);
    }
    for (at, act) in case.acts.iter().enumerate() {
        for act in calmer(act) {
            let mut less = case.clone();
            less.acts[at] = act;
            all.push(less);
        }
    }
    for at in 0..case.wishes.len() {
        if !case.wishes[at].after.is_empty() {
            let mut less = case.clone();
            less.wishes[at].after.clear();
            all.push(less);
        }
    }
    if case.lag_ms > 0 {
        all.push(Case { lag_ms: 0, ..case.clone() });
    }
    all
}

/// The act with less going wrong.
fn calmer(act: &Act) -> Vec<Act> {
    let without = |faults: &[Fault], at: usize| {
        let mut faults = faults.to_vec();
        faults.remove(at);
        faults
    };
    match act {
        Act::Deploy { refresh, faults } => (0..faults.len())
            .map(|at| Act::Deploy { refresh: *refresh, faults: without(faults, at) })
            .collect(),
        Act::Destroy { faults } => {
            (0..faults.len()).map(|at| Act::Destroy { faults: without(faults, at) }).collect()
        }
        Act::RollBack { to, faults } => (0..faults.len())
            .map(|at| Act::RollBack { to: *to, faults: without(faults, at) })
            .collect(),
        Act::Together { later_ms, service, faults: [one, other] } => {
            let mut all = vec![Act::Deploy { refresh: false, faults: one.clone() }];
            let act = |faults| Act::Together { later_ms: *later_ms, service: *service, faults };
            all.extend((0..one.len()).map(|at| act([without(one, at), other.clone()])));
            all.extend((0..other.len()).map(|at| act([one.clone(), without(other, at)])));
            all
        }
        _ => Vec::new(),
    }
}
