//! `apply`: from what is there to what is wanted.
//!
//! It never trusts the record beyond the ids in it: what is there is read, the difference is planned by
//! [`Rollout`], and `rolling` carries it out, one machine after the other.

use std::collections::{BTreeMap, BTreeSet};

use starsystem_provisioner::serde_json::Value;
use starsystem_provisioner::{Failure, Outcome, Recorded, Service, checkpoint, log, step};

use crate::api::{Api, App};
use crate::app;
use crate::config;
use crate::machine::Machine;
use crate::probe::{self, Probed};
use crate::record::{self, Attributes, Ours, Surroundings};
use crate::refusal::Names;
use crate::rollout::{self, Rollout};
use crate::target::Target;

/// A deploy under way.
pub(crate) struct Deploy<'a> {
    pub(crate) api: &'a Api,
    pub(crate) target: &'a Target,
    ours: Ours,
    /// What the machines are called before their number.
    pub(crate) stem: &'a str,
    /// The configuration every machine should have.
    pub(crate) wanted: Value,
    /// The version of the app's secrets that machines need at least.
    pub(crate) secrets_version: Option<u64>,
    around: Surroundings,
    /// The app's machines as last seen, other people's too.
    pub(crate) machines: Vec<Machine>,
}

/// Makes the app and its machines as wanted.
pub fn apply(
    service: &Service<Target>,
    recorded: Option<&Recorded<Attributes>>,
) -> Result<Outcome<Attributes>, Failure> {
    let target = &service.target;
    // What cannot work is refused before anything is made.
    target.guest()?;
    let api = Api::new(names(target));
    let app = match recorded {
        None => app::create(&api, &service.mark)?,
        Some(recorded) => existing(&api, recorded)?,
    };
    let known = recorded.map(|recorded| recorded.attributes.ips.clone()).unwrap_or_default();
    let addresses = app::addresses(&api, target.public, &known)?;
    let known = recorded.map(|recorded| recorded.attributes.secrets.clone()).unwrap_or_default();
    let secrets = app::secrets(&api, &service.inputs, &known)?;
    let wanted = config::wanted(target, &service.id, &service.mark, &secrets.fingerprint())?;
    let deploy = Deploy {
        api: &api,
        target,
        ours: Ours::of(&service.mark, recorded.map(|recorded| &recorded.attributes)),
        stem: rollout::stem(&service.id),
        wanted,
        secrets_version: secrets.version,
        around: Surroundings { app, addresses, secrets: secrets.digests },
        machines: api.machines()?,
    };
    deploy.run()
}

fn names(target: &Target) -> Names {
    Names {
        app: target.app.clone(),
        org: target.org.clone(),
        region: target.region.clone(),
        image: target.image.clone(),
    }
}

fn existing(api: &Api, recorded: &Recorded<Attributes>) -> Result<App, Failure> {
    let app = &api.names.app;
    if recorded.id != *app {
        let old = &recorded.id;
        return Err(Failure::invalid(format!("the Fly app `{old}` cannot be renamed to `{app}`")));
    }
    if recorded.attributes.app_id.is_empty() {
        // A checkpoint of a run that died right after it made the app.
        api.app_is_fresh();
    }
    api.find_app()?.ok_or_else(|| {
        Failure::broken(format!(
            "the Fly app `{app}` no longer exists; `ss plan --refresh` plans to create it again"
        ))
    })
}

impl Deploy<'_> {
    fn run(mut self) -> Result<Outcome<Attributes>, Failure> {
        let rollout = self.plan();
        if let Some(machine) = rollout.remove.iter().find(|machine| machine.has_volume()) {
            return Err(Failure::declined(format!(
                "machine {} would have to go, but it has a volume, which `ss` does not manage: remove it with `fly machine destroy {}` when the volume is no longer needed",
                machine.name, machine.id
            )));
        }
        let changes = !rollout.is_empty();
        self.roll(rollout).map_err(|failure| self.with_state(failure))?;
        if changes {
            self.visit();
        }
        Ok(Outcome::new(self.record(), self.summary()))
    }

    fn plan(&self) -> Rollout {
        let ours = self.ours().cloned().collect();
        let wish = (self.target.count, self.target.region.as_str(), &self.wanted);
        Rollout::plan(ours, &self.names_taken(), self.stem, wish)
    }

    /// Names that a new machine cannot have.
    pub(crate) fn names_taken(&self) -> BTreeSet<String> {
        self.machines.iter().map(|machine| machine.name.clone()).collect()
    }

    /// The service's live machines.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| self.is_ours(machine) && !machine.is_gone())
    }

    /// Whether a machine is the service's.
    pub(crate) fn is_ours(&self, machine: &Machine) -> bool {
        self.ours.has(machine)
    }

    /// Keeps what a machine is like now, durably.
    pub(crate) fn seen(&mut self, machine: Machine) {
        match self.machines.iter_mut().find(|known| known.id == machine.id) {
            Some(known) => *known = machine,
            None => self.machines.push(machine),
        }
        checkpoint(&self.record());
    }

    /// Forgets a machine that was removed.
    pub(crate) fn forget(&mut self, id: &str) {
        self.machines.retain(|machine| machine.id != id);
        checkpoint(&self.record());
    }

    fn record(&self) -> Recorded<Attributes> {
        let Target { app, org, .. } = self.target;
        let attributes = Attributes::observed(app, org, &self.around, &self.machines, &self.ours);
        record::record(attributes, self.target.url())
    }

    /// The app as a visitor finds it. The machines' own checks have passed: an address that is not known yet
    /// everywhere is worth a word, and no failure.
    fn visit(&self) {
        let Some(path) = &self.target.health_check_path else { return };
        let on_machines = match self.target.count {
            1 => "the machine".to_owned(),
            count => format!("{count} machines"),
        };
        if !self.target.public {
            step!("Health check passing on {on_machines}");
            return;
        }
        match probe::visit(&self.target.app, path) {
            Probed::Answers(url) => step!("Health check passing at {url}"),
            Probed::Silent(url, why) => {
                step!(
                    "Health check passing on {on_machines}; {url} does not answer yet ({why}), DNS may need some minutes more"
                );
            }
            Probed::Inexpressible => {
                log!("`{path}` cannot be asked for from here");
                step!("Health check passing on {on_machines}");
            }
        }
    }

    fn summary(&self) -> String {
        let Target { count, region, image, .. } = self.target;
        let runs = if *count == 1 { "machine runs" } else { "machines run" };
        format!("{count} {runs} {image} in {region}")
    }

    /// Adds to a failure what runs where, when the machines are not all alike.
    fn with_state(&self, mut failure: Failure) -> Failure {
        let mut images: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for machine in self.ours() {
            images.entry(machine.image()).or_default().push(&machine.name);
        }
        let changed = |machine: &&Machine| config::is_current(machine, &self.wanted);
        let (new, old): (Vec<&Machine>, Vec<&Machine>) = self.ours().partition(changed);
        let state = if images.len() > 1 {
            let of =
                |(image, names): (&&str, &Vec<&str>)| format!("{} on {image}", names.join(", "));
            images.iter().map(of).collect::<Vec<_>>().join("; ")
        } else if !new.is_empty() && !old.is_empty() {
            let names = |list: &[&Machine]| {
                list.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>().join(", ")
            };
            format!("{} with the new configuration; {} with the old one", names(&new), names(&old))
        } else {
            return failure;
        };
        let message = failure.message.trim_end_matches('.');
        failure.message =
            format!("{message}. Now there are {state}; the next `ss deploy` goes on from here.");
        failure
    }
}
