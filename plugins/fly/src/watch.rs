//! Watching one machine until it runs and is healthy, or surely will not be.
//!
//! A machine whose process ends is given up at once, with its exit code and its last words, instead of waiting
//! out the whole patience. A look that fails for a passing reason is no verdict.

use std::time::Duration;

use starsystem_provisioner::{CallErrorKind, Failure, FailureKind, clock, json, log};

use crate::api::Api;
use crate::health::{Health, Since, judge, one_line};
use crate::lease::Lease;
use crate::machine::Machine;

/// How long Fly's own wait may take; short enough for a lease to be refreshed in time.
const WAIT_SECONDS: u64 = 5;
/// A machine without checks is healthy after running for so long.
const QUIET_MS: u64 = 10_000;
/// Looks at short intervals before the longer ones.
const SHORT_LOOKS: u32 = 10;
/// How many of the last lines a failure carries.
const LINES_MAX: usize = 20;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Its process runs.
    Started,
    /// Its checks pass, or it has run for a while without any.
    Healthy,
}

/// A machine that is watched.
pub struct Watch<'a> {
    api: &'a Api,
    machine: Machine,
    older_version: String,
    since: Since,
    deadline_ms: u64,
    started_ms: Option<u64>,
    turned_on: bool,
    looks: u32,
}

impl<'a> Watch<'a> {
    /// Watches this version of a machine.
    pub fn new(api: &'a Api, machine: Machine, since: Since, patience_ms: u64) -> Self {
        Self {
            api,
            machine,
            older_version: String::new(),
            since,
            deadline_ms: clock::now_ms() + patience_ms,
            started_ms: None,
            turned_on: false,
            looks: 0,
        }
    }

    /// Says which version it had before: a look may still see that one for a moment.
    pub fn after(mut self, version: &str) -> Self {
        version.clone_into(&mut self.older_version);
        self
    }

    /// Waits for the goal; the machine as it is then.
    pub fn until(&mut self, goal: Goal, lease: &mut Option<Lease<'_>>) -> Result<Machine, Failure> {
        let mut reason = "it has not started".to_owned();
        loop {
            self.pause(lease)?;
            match self.look() {
                Ok(Health::Passing) => return Ok(self.machine.clone()),
                Ok(Health::Unchecked) if self.is_quiet(goal) => return Ok(self.machine.clone()),
                Ok(Health::Unchecked) => {
                    "it has not run for 10 seconds yet".clone_into(&mut reason)
                }
                Ok(Health::Pending(_)) if goal == Goal::Started && self.started_ms.is_some() => {
                    return Ok(self.machine.clone());
                }
                Ok(Health::Pending(why)) => reason = why,
                Ok(Health::Resting) => {
                    "it is stopped".clone_into(&mut reason);
                    self.turn_on(lease)?;
                }
                Ok(Health::Lost(why)) => return Err(self.lost(&why)),
                Err(failure) if failure.kind == FailureKind::Unavailable => {
                    reason = failure.message
                }
                Err(failure) => return Err(failure),
            }
            if clock::now_ms() >= self.deadline_ms {
                let waited = "it did not become healthy in time";
                return Err(self.lost(&format!("{waited} (`wait_timeout`): {reason}")));
            }
        }
    }

    fn look(&mut self) -> Result<Health, Failure> {
        self.looks += 1;
        let Some(seen) = self.api.machine(&self.machine.id)? else {
            return Ok(Health::Lost("it no longer exists".to_owned()));
        };
        if seen.version() == self.older_version {
            return Ok(Health::Pending("its update is not visible yet".to_owned()));
        }
        if seen.version() != self.machine.version() {
            let name = &seen.name;
            return Err(Failure::conflict(format!(
                "somebody else changed machine {name} during the deploy; run `ss deploy` again"
            )));
        }
        let health = judge(&seen, &self.since);
        let runs = seen.state == "started";
        self.started_ms = if runs { self.started_ms.or(Some(clock::now_ms())) } else { None };
        self.machine = seen;
        Ok(health)
    }

    fn is_quiet(&self, goal: Goal) -> bool {
        let quiet = |since_ms| clock::now_ms().saturating_sub(since_ms) >= QUIET_MS;
        goal == Goal::Started || self.started_ms.is_some_and(quiet)
    }

    /// Lets time pass until the next look is worth while: Fly tells when a machine has started, not when it
    /// is healthy.
    fn pause(&mut self, lease: &mut Option<Lease<'_>>) -> Result<(), Failure> {
        if let Some(lease) = lease {
            lease.nonce()?;
        }
        if self.started_ms.is_some() {
            if self.looks > 0 {
                clock::wait(Duration::from_secs(if self.looks < SHORT_LOOKS { 1 } else { 3 }));
            }
            return Ok(());
        }
        let (id, version) = (&self.machine.id, self.machine.version());
        match self.api.wait_for(id, "started", Some(version), WAIT_SECONDS) {
            // Not yet: Fly has waited for us.
            Ok(reply) if reply.status == 408 => {}
            Ok(reply) if reply.is_success() && self.looks == 0 => {}
            Err(error) if error.kind == CallErrorKind::Denied => return Err(error.into()),
            _ => clock::wait(Duration::from_secs(1)),
        }
        Ok(())
    }

    /// An update leaves a stopped machine stopped.
    fn turn_on(&mut self, lease: &mut Option<Lease<'_>>) -> Result<(), Failure> {
        if self.turned_on {
            return Ok(());
        }
        let nonce = lease.as_mut().map(|lease| lease.nonce().map(str::to_owned)).transpose()?;
        let reply = self.api.turn("start", &self.machine.id, nonce.as_deref())?;
        // Too early answers 412; the next look tries again.
        self.turned_on = reply.is_success();
        Ok(())
    }

    fn lost(&self, why: &str) -> Failure {
        let Machine { id, name, .. } = &self.machine;
        let lines = self.api.last_lines(id, LINES_MAX);
        for line in &lines {
            log!("{name}: {}", one_line(line, 500));
        }
        let tail = &lines[lines.len().saturating_sub(3)..];
        let tail: Vec<String> =
            tail.iter().map(|line| format!("“{}”", one_line(line, 160))).collect();
        let words = if tail.is_empty() {
            String::new()
        } else {
            format!("; its last lines: {}", tail.join(" "))
        };
        let image = self.machine.image();
        let message = format!("machine {name} is not healthy with {image}: {why}{words}.");
        Failure::broken(message).details(json!({"machine": id, "name": name, "logs": lines}))
    }
}
