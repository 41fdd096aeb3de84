//! `destroy`: the app and everything in it. One that is already gone is a success.

use std::time::Duration;

use starsystem_provisioner::{Failure, Recorded, log, poll, step};

use crate::api::Api;
use crate::read;
use crate::record::Attributes;

/// How long the name may stay in use after the deletion was accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Deletes the app, unless another one bears its name by now.
pub fn destroy(recorded: &Recorded<Attributes>) -> Result<(), Failure> {
    let api = Api::new(read::names(recorded));
    let name = &recorded.id;
    let Some(app) = api.find_app()? else {
        log!("app {name} is gone already");
        return Ok(());
    };
    let known = &recorded.attributes.app_id;
    if !known.is_empty() && !app.id.is_empty() && app.id != *known {
        return Err(Failure::conflict(format!(
            "the Fly app `{name}` is not the one that was deployed: that one was deleted, and somebody made another of the same name. If it is to go, record it first (`ss drift --adopt`)"
        )));
    }
    let machines = api.machines()?;
    let ours = &recorded.attributes.machines;
    let others = machines.iter().filter(|machine| !ours.values().any(|own| own.id == machine.id));
    for machine in others {
        log!("machine {} ({}) goes with the app", machine.name, machine.id);
    }
    api.delete_app()?;
    // The deletion is accepted: a look that fails now changes nothing.
    let gone = poll(PATIENCE, Duration::from_secs(1), || {
        Ok(matches!(api.find_app(), Ok(None)).then_some(()))
    })?;
    if gone.is_none() {
        log!("Fly accepted the deletion of app {name} and still shows it");
    }
    step!("App destroyed: {name}");
    Ok(())
}
