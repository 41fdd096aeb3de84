//! Carrying out a rollout, machine by machine.
//!
//! Each move ends with a machine that is healthy, or with a failure that ends the deploy and leaves the others
//! alone. A machine that serves is only touched while the others carry the load, under a lease, and after the
//! proxy has stopped sending to it.

use std::time::Duration;

use starsystem_provisioner::serde_json::Value;
use starsystem_provisioner::{Attempt, Failure, clock, json, log, poll, step};

use crate::api;
use crate::app::ensure_absent;
use crate::config;
use crate::deploy::Deploy;
use crate::health::{self, Since};
use crate::lease::Lease;
use crate::machine::Machine;
use crate::refusal::{self, Refusal};
use crate::rollout::{self, Rollout};
use crate::watch::{Goal, Watch};

/// How long the proxy gets to stop sending requests to a machine, before the machine is touched.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the proxy gets to send requests to a machine again, before the next one is taken out.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a machine may take to stop before it is removed anyway.
const STOP_SECONDS: u64 = 60;
/// How often an update is sent when its answer gets lost.
const UPDATES_MAX: u32 = 3;

impl<'a> Deploy<'a> {
    /// Carries out a rollout.
    pub(crate) fn roll(&mut self, rollout: Rollout) -> Result<(), Failure> {
        for machine in rollout.repair {
            self.repair(machine)?;
        }
        self.create(rollout.create)?;
        let total = rollout.update.len();
        for (index, machine) in rollout.update.iter().enumerate() {
            self.update(machine)?;
            let name = &machine.name;
            match total {
                1 => step!("Machine {name} updated"),
                _ => step!("Machine {name} updated ({} of {total})", index + 1),
            }
            if index + 1 < total {
                clock::wait(SETTLE);
            }
        }
        for machine in &rollout.remove {
            self.remove(machine)?;
        }
        Ok(())
    }

    /// A machine is as wanted and does not serve: an earlier deploy died, or somebody took it out.
    fn repair(&mut self, machine: Machine) -> Result<(), Failure> {
        let (name, cordoned) = (machine.name.clone(), machine.cordoned);
        let mut lease = Some(Lease::take(self.api, &machine.id)?);
        let since = Since::look_at(&machine);
        let repaired = self
            .watch(machine, since)
            .until(Goal::Healthy, &mut lease)
            .and_then(|machine| self.back_in_service(machine, cordoned, &mut lease));
        lease.into_iter().for_each(Lease::release);
        self.seen(repaired?);
        step!("Machine {name} is back in service");
        Ok(())
    }

    /// Makes machines: the first alone, so that a broken image breaks one; then the others together.
    fn create(&mut self, names: Vec<String>) -> Result<(), Failure> {
        let mut watched = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let mut watch = self.launch(name)?;
            if index == 0 && names.len() > 1 {
                let machine = watch.until(Goal::Healthy, &mut None)?;
                self.seen(machine);
            } else {
                watched.push(watch);
            }
        }
        for watch in &mut watched {
            watch.until(Goal::Started, &mut None)?;
        }
        let region = &self.target.region;
        match names.len() {
            0 => {}
            1 => step!("Machine launched in {region}"),
            count => step!("{count} machines launched in {region}"),
        }
        for mut watch in watched {
            let machine = watch.until(Goal::Healthy, &mut None)?;
            self.seen(machine);
        }
        Ok(())
    }

    /// Makes a machine of a name, once: names are unique in an app, and the mark tells ours from others'.
    fn launch(&mut self, name: &str) -> Result<Watch<'a>, Failure> {
        let mut body = json!({"name": name, "region": self.target.region, "config": self.wanted});
        if let Some(version) = self.secrets_version {
            body["min_secrets_version"] = json!(version);
        }
        let find = || {
            let machines = self.api.machines()?;
            Ok(machines.into_iter().find(|machine| machine.name == name && self.is_ours(machine)))
        };
        let machine = ensure_absent(find, || self.try_to_create(&body))?;
        self.seen(machine.clone());
        Ok(self.watch(machine, Since::birth()))
    }

    fn try_to_create(&self, body: &Value) -> Result<Machine, Attempt> {
        let reply = self.api.create_machine(body)?;
        // A machine of that name is ours when an earlier answer was lost.
        if let Refusal::MachineExists(id) = refusal::of(&reply)
            && let Some(machine) = self.api.machine(&id)?
            && self.is_ours(&machine)
            && !machine.is_gone()
        {
            return Ok(machine);
        }
        self.api.made(reply, "create a machine")
    }

    fn watch(&self, machine: Machine, since: Since) -> Watch<'a> {
        Watch::new(self.api, machine, since, self.target.patience_ms())
    }

    /// Changes a machine in place. Where its host has no room for the change, another takes its place.
    fn update(&mut self, machine: &Machine) -> Result<(), Failure> {
        self.await_the_others(machine)?;
        let mut lease = Some(Lease::take(self.api, &machine.id)?);
        let updated = self.update_leased(&machine.id, &mut lease);
        lease.into_iter().for_each(Lease::release);
        match updated? {
            Some(healthy) => self.seen(healthy),
            None => self.replace(machine)?,
        }
        Ok(())
    }

    /// Waits until enough other machines serve for this one to be taken out.
    fn await_the_others(&mut self, machine: &Machine) -> Result<(), Failure> {
        let needed = self.target.count - 1;
        if needed == 0 || !health::serves(machine) {
            return Ok(());
        }
        let mut serving = 0;
        let patience = Duration::from_millis(self.target.patience_ms());
        let enough = poll(patience, SETTLE, || {
            self.machines = self.api.machines()?;
            let others = self.ours().filter(|other| other.id != machine.id);
            serving = others.filter(|other| health::serves(other)).count();
            Ok((serving >= needed).then_some(()))
        })?;
        enough.ok_or_else(|| {
            let name = &machine.name;
            Failure::broken(format!(
                "machine {name} stays as it is: only {serving} of the other {needed} machines serve, so it cannot be taken out"
            ))
        })
    }

    /// The machine, updated and healthy; `None` when its host has no room.
    fn update_leased(
        &mut self,
        id: &str,
        lease: &mut Option<Lease<'a>>,
    ) -> Result<Option<Machine>, Failure> {
        // From here on nobody else changes it: what is there now is what the update begins with.
        let machine = self.api.machine(id)?;
        let machine = machine.ok_or_else(|| {
            Failure::conflict(format!("machine {id} is gone; run `ss deploy` again"))
        })?;
        let covered = self.ours().any(|other| other.id != id && health::serves(other));
        let take_out = covered && self.target.public && health::serves(&machine);
        if take_out {
            self.turn("cordon", id, lease)?;
            clock::wait(DRAIN);
        }
        let updated = match self.send_update(&machine, lease) {
            Ok(Some(updated)) => updated,
            unchanged => {
                if take_out {
                    self.turn("uncordon", id, lease)?;
                }
                return unchanged;
            }
        };
        self.seen(updated.clone());
        let since = Since::update_of(&machine);
        let mut watch = self.watch(updated, since).after(machine.version());
        let healthy = watch.until(Goal::Healthy, lease)?;
        self.back_in_service(healthy, machine.cordoned || take_out, lease).map(Some)
    }

    /// Sends the update until its answer is known; `None` when the host has no room. The present version
    /// guards it, so that sending again changes nothing twice.
    fn send_update(
        &self,
        machine: &Machine,
        lease: &mut Option<Lease<'a>>,
    ) -> Result<Option<Machine>, Failure> {
        let mut body = json!({
            "config": config::merged(machine, &self.wanted),
            "current_version": machine.version(),
        });
        if let Some(version) = self.secrets_version {
            body["min_secrets_version"] = json!(version);
        }
        let doing = format!("update machine {}", machine.name);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let nonce = nonce(lease)?.unwrap_or_default();
            let answer = self.api.update_machine(&machine.id, &nonce, &body);
            let open = api::is_open(&answer);
            let refusal = answer.as_ref().ok().map(refusal::of);
            if answer.as_ref().is_ok_and(starsystem_provisioner::Reply::is_success) {
                return Ok(Some(answer?.json()?));
            }
            if refusal == Some(Refusal::NoRoom) && !machine.has_volume() {
                log!("no room for machine {} on its host", machine.name);
                return Ok(None);
            }
            if open || refusal == Some(Refusal::Stale) {
                log!("looking whether machine {} was updated", machine.name);
                clock::wait(SETTLE);
                let now = self.api.machine(&machine.id)?;
                if let Some(now) = now.filter(|now| config::is_current(now, &self.wanted)) {
                    return Ok(Some(now));
                }
            }
            if !open || attempt >= UPDATES_MAX {
                return Err(self.api.failure(&answer?, &doing));
            }
        }
    }

    /// Puts another machine in the place of one.
    fn replace(&mut self, machine: &Machine) -> Result<(), Failure> {
        let taken = self.names_taken();
        let name = rollout::free_names(&taken, self.stem).next();
        let name = name.ok_or_else(|| Failure::broken("there is no free machine name"))?;
        let healthy = self.launch(&name)?.until(Goal::Healthy, &mut None)?;
        self.seen(healthy);
        step!("Machine {name} launched in {} in the place of {}", self.target.region, machine.name);
        self.remove(machine)
    }

    /// Removes a machine, after the proxy has stopped sending to it and its process has ended.
    fn remove(&mut self, machine: &Machine) -> Result<(), Failure> {
        let id = &machine.id;
        let mut lease = None;
        // A host that does not answer can neither lease nor stop.
        if machine.is_reachable() {
            lease = Some(Lease::take(self.api, id)?);
            if self.target.public && health::serves(machine) {
                self.turn("cordon", id, &mut lease)?;
                clock::wait(DRAIN);
            }
            if !machine.is_resting() {
                self.stop(id, &mut lease)?;
            }
        }
        self.api.delete_machine(id, nonce(&mut lease)?.as_deref())?;
        self.forget(id);
        step!("Machine {} removed", machine.name);
        Ok(())
    }

    /// A process that does not end in time is ended by the deletion.
    fn stop(&self, id: &str, lease: &mut Option<Lease<'a>>) -> Result<(), Failure> {
        let reply = self.api.turn("stop", id, nonce(lease)?.as_deref())?;
        if !reply.is_success() {
            log!("machine {id} cannot be stopped: status {}", reply.status);
            return Ok(());
        }
        let stopped = self.api.wait_for(id, "stopped", None, STOP_SECONDS)?;
        if !stopped.is_success() {
            log!("machine {id} has not stopped: status {}", stopped.status);
        }
        Ok(())
    }

    fn back_in_service(
        &self,
        mut machine: Machine,
        cordoned: bool,
        lease: &mut Option<Lease<'a>>,
    ) -> Result<Machine, Failure> {
        if cordoned {
            self.turn("uncordon", &machine.id, lease)?;
            machine.cordoned = false;
        }
        Ok(machine)
    }

    fn turn(&self, what: &str, id: &str, lease: &mut Option<Lease<'a>>) -> Result<(), Failure> {
        let reply = self.api.turn(what, id, nonce(lease)?.as_deref())?;
        if reply.is_success() {
            return Ok(());
        }
        Err(self.api.failure(&reply, &format!("{what} machine {id}")))
    }
}

fn nonce(lease: &mut Option<Lease<'_>>) -> Result<Option<String>, Failure> {
    lease.as_mut().map(|lease| lease.nonce().map(str::to_owned)).transpose()
}
