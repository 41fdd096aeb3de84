//! `GET …/wait`: holds the request until the machine is where the caller wants it.

use std::collections::HashMap;

use axum::extract::{Path, RawQuery, State as Extract};
use serde_json::{Value, json};

use super::Fly;
use super::caller::Caller;
use super::config::duration_ms;
use super::fault::Fault;
use super::model::{Event, Machine, Phase};
use super::request::{Answer, ok, query};

/// What is waited for.
struct Wish {
    states: Vec<String>,
    version: Option<String>,
    after_event: Option<String>,
    timeout_ms: i64,
}

/// What a look at the machine says.
enum Look {
    /// There; the answer.
    Reached(Value),
    /// Not there; the present state.
    NotYet(String),
}

/// Waits by the clock; 408 with both states when time is up.
pub async fn wait(
    Extract(fly): Extract<Fly>,
    caller: Caller,
    Path((app, id)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let wish = Wish::read(&query(raw.as_deref()))?;
    let deadline_ms = fly.now_ms() + wish.timeout_ms;
    let mut changes = fly.inner.changed.subscribe();
    loop {
        let now_ms = fly.now_ms();
        let look =
            fly.read(|state| caller.machine(state, now_ms, (&app, &id)).map(|m| wish.look(m)))?;
        let current = match look {
            Look::Reached(answer) => return Ok(ok(answer)),
            Look::NotYet(current) => current,
        };
        if now_ms >= deadline_ms {
            return Err(Fault::wait_timed_out(&wish.states.join(", "), &current));
        }
        tokio::select! {
            () = fly.inner.clock.sleep_until(deadline_ms) => {}
            _ = changes.changed() => {}
        }
    }
}

impl Wish {
    fn read(query: &HashMap<String, String>) -> Result<Self, Fault> {
        let given = |name: &str| query.get(name).filter(|text| !text.is_empty()).cloned();
        let states = given("state").unwrap_or_else(|| Phase::Started.name().to_owned());
        let states: Vec<String> = states.split(',').map(|state| state.trim().to_owned()).collect();
        let known = ["started", "stopped", "suspended", "destroyed", "failed", "settled"];
        if let Some(unknown) = states.iter().find(|state| !known.contains(&state.as_str())) {
            return Err(Fault::invalid(&format!("unknown machine state {unknown:?}")));
        }
        let version = given("version").or_else(|| given("instance_id"));
        let timeout_ms = given("timeout").map_or(Some(60_000), |text| {
            let seconds = text.parse::<i64>().ok().map(|seconds| seconds.saturating_mul(1000));
            seconds.or_else(|| duration_ms(&json!(text)))
        });
        let timeout_ms = timeout_ms.filter(|ms| (1_000..=60_000).contains(ms));
        let out_of_range =
            "invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]";
        let timeout_ms = timeout_ms.ok_or_else(|| Fault::invalid(out_of_range))?;
        Ok(Self { states, version, after_event: given("from_event_id"), timeout_ms })
    }

    fn look(&self, machine: &Machine) -> Look {
        if self.version.as_ref().is_some_and(|version| *version != machine.version) {
            // The version waited for is not the machine's any more.
            return Look::NotYet("replaced".to_owned());
        }
        let event = match &self.after_event {
            None => machine.events.last().filter(|_| self.wants(machine.phase.name())),
            Some(after) => self.event_after(machine, after),
        };
        match event {
            None => Look::NotYet(machine.phase.name().to_owned()),
            Some(event) => Look::Reached(json!({
                "ok": true,
                "state": if self.after_event.is_some() { &event.status } else { machine.phase.name() },
                "version": machine.version,
                "event_id": event.id,
            })),
        }
    }

    fn event_after<'a>(&self, machine: &'a Machine, after: &str) -> Option<&'a Event> {
        let seen = machine.events.iter().position(|event| event.id == after);
        let newer = &machine.events[seen.map_or(0, |place| place + 1)..];
        newer.iter().rev().find(|event| self.wants(&event.status))
    }

    fn wants(&self, state: &str) -> bool {
        let settled = ["started", "stopped", "suspended", "destroyed", "failed"].contains(&state);
        self.states.iter().any(|wanted| wanted == state || (wanted == "settled" && settled))
    }
}
