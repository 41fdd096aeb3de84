//! Remembers how many machines of each app could serve, at every change. In memory, bounded.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::model::{Machine, Phase, State};

const ENTRIES_MAX: usize = 20_000;

/// Entries are added only when an app's picture changes.
#[derive(Default)]
pub struct Timeline {
    entries: VecDeque<Value>,
    last: BTreeMap<String, Value>,
}

impl Timeline {
    /// Looks at `state` and notes what differs.
    pub fn record(&mut self, now_ms: i64, state: &State) {
        for app in state.apps.values() {
            let machines: Vec<&Machine> =
                state.machines_of(&app.id).filter(|m| m.phase != Phase::Destroyed).collect();
            let serves = |m: &&&Machine| m.is_healthy() && !m.cordoned && !state.is_unreachable(m);
            let count = |phase| machines.iter().filter(|m| m.phase == phase).count();
            let picture = json!({
                "total": machines.len(),
                "started": count(Phase::Started),
                "serving": machines.iter().filter(serves).count(),
                "machines": machines.iter().map(|m| (m.id.clone(), describe(m))).collect::<BTreeMap<_, _>>(),
            });
            self.note(now_ms, &app.name, picture);
        }
        let gone = |name: &&String| !state.apps.contains_key(*name);
        let gone: Vec<String> = self.last.keys().filter(gone).cloned().collect();
        for name in gone {
            self.note(
                now_ms,
                &name,
                json!({ "total": 0, "started": 0, "serving": 0, "machines": {} }),
            );
            self.last.remove(&name);
        }
    }

    /// `[{at_ms, app, total, started, serving, machines}]`, oldest first.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.entries.iter().cloned().collect()
    }

    fn note(&mut self, now_ms: i64, app: &str, picture: Value) {
        if self.last.get(app) == Some(&picture) {
            return;
        }
        let mut entry = picture.clone();
        self.last.insert(app.to_owned(), picture);
        entry["at_ms"] = json!(now_ms);
        entry["app"] = json!(app);
        self.entries.push_back(entry);
        if self.entries.len() > ENTRIES_MAX {
            self.entries.pop_front();
        }
    }
}

fn describe(machine: &Machine) -> Value {
    json!({
        "state": machine.phase.name(),
        "version": machine.version,
        "healthy": machine.is_healthy(),
        "cordoned": machine.cordoned,
    })
}
