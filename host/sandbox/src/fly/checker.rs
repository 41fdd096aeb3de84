//! Polls the health checks of one process and writes down what changes.

use serde_json::Value;
use tokio::task::JoinHandle;

use super::Fly;
use super::config::{self, Check};
use super::fault::Fault;
use super::model::{CheckResult, Machine, Phase};
use crate::machine::probe::Seen;

/// Starts a poller per configured check of `machine`, whose process listens on `port`.
pub fn start(fly: &Fly, machine: &Machine, launch: u64, port: u16) -> Vec<JoinHandle<()>> {
    let known: Vec<u64> =
        config::list(&machine.config["services"]).iter().filter_map(internal_port).collect();
    let poll = |check: Check| {
        let foreign = check.port.filter(|port| !known.is_empty() && !known.contains(port));
        let poller =
            Poller { fly: fly.clone(), id: machine.id.clone(), launch, check, port, foreign };
        tokio::spawn(poller.poll())
    };
    config::checks(&machine.config).into_iter().map(poll).collect()
}

fn internal_port(service: &Value) -> Option<u64> {
    service["internal_port"].as_u64()
}

struct Poller {
    fly: Fly,
    id: String,
    launch: u64,
    check: Check,
    port: u16,
    /// A port the check names although no service of the machine has it.
    foreign: Option<u64>,
}

impl Poller {
    async fn poll(self) {
        let clock = self.fly.inner.clock.clone();
        clock.sleep(self.check.grace_ms).await;
        let mut passed = false;
        loop {
            let seen = self.look().await;
            passed |= seen.passing;
            if self.record(seen).is_err() {
                // The machine is gone, or the disk refuses and its keeper deals with that.
                return;
            }
            let eager_ms = self.fly.read(|state| state.settings.eager_check_ms);
            let eager = !passed && eager_ms > 0;
            let interval_ms = self.check.interval_ms;
            clock.sleep(if eager { interval_ms.min(eager_ms) } else { interval_ms }).await;
        }
    }

    async fn look(&self) -> Seen {
        if let Some(port) = self.foreign {
            let output = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
            return Seen { passing: false, output };
        }
        tokio::select! {
            seen = self.check.probe.look(self.port) => seen,
            () = self.fly.inner.clock.sleep(self.check.timeout_ms) => {
                let output = format!("no answer within {} ms", self.check.timeout_ms);
                Seen { passing: false, output }
            }
        }
    }

    fn record(&self, seen: Seen) -> Result<(), Fault> {
        let as_known = self.fly.read(|state| {
            let results =
                state.machines.get(&self.id).map(|m| m.checks.as_slice()).unwrap_or_default();
            let result = results.iter().find(|result| result.name == self.check.name);
            result.is_some_and(|r| r.passing == seen.passing && r.output == seen.output)
        });
        if as_known {
            return Ok(());
        }
        let now_ms = self.fly.now_ms();
        self.fly.change(|state| {
            let machine = state.machines.get_mut(&self.id).ok_or_else(Fault::no_machine)?;
            if machine.launch == self.launch && machine.phase == Phase::Started {
                note(machine, &self.check.name, seen, now_ms);
            }
            Ok(())
        })
    }
}

fn note(machine: &mut Machine, name: &str, seen: Seen, now_ms: i64) {
    let known = machine.checks.iter_mut().find(|result| result.name == name);
    match known {
        Some(result) => {
            if result.passing != seen.passing {
                result.updated_ms = now_ms;
            }
            (result.passing, result.output) = (seen.passing, seen.output);
        }
        None => machine.checks.push(CheckResult {
            name: name.to_owned(),
            passing: seen.passing,
            output: seen.output,
            updated_ms: now_ms,
        }),
    }
    let order = config::checks(&machine.config);
    machine.checks.sort_by_key(|result| order.iter().position(|check| check.name == result.name));
}
