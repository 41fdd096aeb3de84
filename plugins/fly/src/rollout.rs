//! Which machines to make, change and remove, and in which order; pure.
//!
//! The order keeps as much running as possible: what is broken first, then new machines, then changes one by
//! one, and machines go last. So when an image turns out broken, what ran before still runs.

use std::collections::BTreeSet;

use starsystem_provisioner::serde_json::Value;

use crate::config;
use crate::health;
use crate::machine::Machine;

/// What to do, in this order.
#[derive(Debug, Default, PartialEq)]
pub struct Rollout {
    /// Machines that are as wanted but do not serve: to be started or put back, and waited for.
    pub repair: Vec<Machine>,
    /// Names of machines to make.
    pub create: Vec<String>,
    /// Machines to change in place, in this order.
    pub update: Vec<Machine>,
    /// Machines to remove, in this order.
    pub remove: Vec<Machine>,
    /// Machines that are as wanted and serve.
    pub keep: Vec<Machine>,
}

impl Rollout {
    /// Decides. `ours` are the service's live machines; `taken` are names of all live machines of the app.
    pub fn plan(
        mut ours: Vec<Machine>,
        taken: &BTreeSet<String>,
        stem: &str,
        (count, region, wanted): (usize, &str, &Value),
    ) -> Self {
        ours.sort_by(|a, b| (a.number(), &a.name).cmp(&(b.number(), &b.name)));
        let usable = |machine: &Machine| {
            machine.region == region && machine.is_reachable() && !machine.is_failed()
        };
        let (mut stay, mut remove): (Vec<_>, Vec<_>) = ours.into_iter().partition(usable);
        if stay.len() > count {
            let mut surplus = stay.split_off(count);
            surplus.reverse();
            remove.extend(surplus);
        }
        let create = free_names(taken, stem).take(count - stay.len()).collect();
        let mut rollout = Self { create, remove, ..Self::default() };
        for machine in stay {
            let list = match (config::is_current(&machine, wanted), health::serves(&machine)) {
                (true, true) => &mut rollout.keep,
                (true, false) => &mut rollout.repair,
                (false, _) => &mut rollout.update,
            };
            list.push(machine);
        }
        rollout.update.sort_by_key(health::serves);
        rollout
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.repair.is_empty()
            && self.create.is_empty()
            && self.update.is_empty()
            && self.remove.is_empty()
    }
}

/// `stem-1`, `stem-2`, … without those that are taken.
pub fn free_names(taken: &BTreeSet<String>, stem: &str) -> impl Iterator<Item = String> {
    (1_u32..).map(move |number| format!("{stem}-{number}")).filter(|name| !taken.contains(name))
}

/// What the service's machines are called before the number: its id, short enough for a host name.
pub fn stem(service: &str) -> &str {
    let end = service.char_indices().nth(50).map_or(service.len(), |(end, _)| end);
    service[..end].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use starsystem_provisioner::json;

    use super::*;
    use crate::machine::tests::machine;

    fn of(name: &str, fields: Value) -> Machine {
        let mut whole = json!({"id": format!("id-{name}"), "name": name});
        for (key, value) in fields.as_object().unwrap() {
            whole[key] = value.clone();
        }
        machine(whole)
    }

    fn plan(ours: Vec<Machine>, count: usize, region: &str, image: &str) -> String {
        let taken = ours.iter().map(|machine| machine.name.clone()).collect();
        let rollout = Rollout::plan(ours, &taken, "api", (count, region, &json!({"image": image})));
        let names = |list: &[Machine]| {
            list.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let Rollout { repair, create, update, remove, keep } = rollout;
        let parts = [
            ("repair", names(&repair)),
            ("create", create.join(" ")),
            ("update", names(&update)),
            ("remove", names(&remove)),
            ("keep", names(&keep)),
        ];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        parts.map(|(what, names)| format!("{what} {names}")).collect::<Vec<_>>().join(", ")
    }

    const V1: &str = "ghcr.io/me/api:v1";

    fn two() -> Vec<Machine> {
        vec![of("api-2", json!({})), of("api-1", json!({}))]
    }

    #[test]
    fn nothing_becomes_the_wanted_number() {
        assert_eq!(plan(vec![], 2, "iad", V1), "create api-1 api-2");
    }

    #[test]
    fn what_is_as_wanted_stays() {
        assert_eq!(plan(two(), 2, "iad", V1), "keep api-1 api-2");
    }

    #[test]
    fn an_image_changes_in_place_and_in_order() {
        let mut ours = two();
        ours.push(of("api-10", json!({})));
        assert_eq!(plan(ours, 3, "iad", "v2"), "update api-1 api-2 api-10");
    }

    #[test]
    fn what_does_not_serve_anyway_is_changed_first() {
        let mut ours = two();
        ours.push(of("api-3", json!({"state": "stopped"})));
        assert_eq!(plan(ours, 3, "iad", "v2"), "update api-3 api-1 api-2");
    }

    #[test]
    fn scaling_adds_free_names_and_removes_the_highest() {
        assert_eq!(plan(two(), 4, "iad", V1), "create api-3 api-4, keep api-1 api-2");
        let four = ["api-4", "api-1", "api-3", "api-2"].map(|name| of(name, json!({})));
        assert_eq!(plan(four.into(), 2, "iad", V1), "remove api-4 api-3, keep api-1 api-2");
        let gap = ["api-1", "api-3"].map(|name| of(name, json!({})));
        assert_eq!(plan(gap.into(), 3, "iad", V1), "create api-2, keep api-1 api-3");
    }

    #[test]
    fn a_move_makes_the_new_before_it_removes_the_old() {
        assert_eq!(plan(two(), 2, "fra", V1), "create api-3 api-4, remove api-1 api-2");
    }

    #[test]
    fn dead_hosts_and_failed_launches_are_replaced() {
        let ours = vec![
            of("api-1", json!({"host_status": "unreachable", "config": null})),
            of("api-2", json!({"state": "failed"})),
        ];
        assert_eq!(plan(ours, 2, "iad", V1), "create api-3 api-4, remove api-1 api-2");
    }

    #[test]
    fn what_is_as_wanted_but_out_of_service_is_repaired() {
        let ours = vec![of("api-1", json!({"cordoned": true})), of("api-2", json!({}))];
        assert_eq!(plan(ours, 2, "iad", V1), "repair api-1, keep api-2");
    }

    #[test]
    fn stems_are_short_and_clean() {
        assert_eq!(stem("api"), "api");
        assert_eq!(stem(&format!("{}-b", "a".repeat(49))), "a".repeat(49));
    }
}
