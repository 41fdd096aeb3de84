//! What there is, at a glance, for people.

use serde_json::{Value, json};

use super::Fly;
use super::model::Phase;

impl Fly {
    /// How many apps, and every machine that is not destroyed: app, name, phase, loopback port.
    #[must_use]
    pub fn status(&self) -> Value {
        self.read(|state| {
            let live = state.machines.values().filter(|it| it.phase != Phase::Destroyed);
            let machines = live.map(|it| {
                json!({
                    "id": it.id,
                    "app": it.app,
                    "name": it.name,
                    "state": it.phase,
                    "port": it.port,
                    "pid": it.process.as_ref().map(|process| process.pid),
                })
            });
            json!({"apps": state.apps.len(), "machines": machines.collect::<Value>()})
        })
    }
}
