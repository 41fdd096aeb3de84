//! Taking over an app that somebody else made, with all of its machines.

use std::collections::{BTreeMap, BTreeSet};

use starsystem_provisioner::{Failure, Recorded};

use crate::api::Api;
use crate::machine::Machine;
use crate::record::{self, Attributes, Ours, Surroundings};
use crate::refusal::Names;
use crate::target::Target;

/// Fly's key for the part of an app that a machine belongs to.
const GROUP: &str = "fly_process_group";

/// The record of an app; `None` when there is none of this name. Machines that the next deploy would remove are
/// told here, not then.
pub fn app(
    target: &Target,
    mark: &str,
    name: String,
) -> Result<Option<Recorded<Attributes>>, Failure> {
    if name != target.app {
        let wanted = &target.app;
        return Err(Failure::invalid(format!(
            "the target's `app` is `{wanted}`: to take over `{name}`, set `app: {name}`"
        )));
    }
    let Target { org, region, image, .. } = target;
    let names =
        Names { app: name.clone(), org: org.clone(), region: region.clone(), image: image.clone() };
    let api = Api::new(names);
    let Some(app) = api.find_app()? else { return Ok(None) };
    let addresses = api.addresses()?;
    let machines: Vec<Machine> =
        api.machines()?.into_iter().filter(|machine| !machine.is_gone()).collect();
    fits(target, &machines)?;
    let around = Surroundings { app, addresses, secrets: BTreeMap::new() };
    let recorded = machines.iter().map(|machine| machine.id.clone()).collect();
    let ours = Ours { mark: mark.to_owned(), recorded };
    let attributes = Attributes::observed(&name, org, &around, &machines, &ours);
    if attributes.org != *org {
        let actual = &attributes.org;
        return Err(Failure::invalid(format!(
            "the Fly app `{name}` is in the organisation `{actual}`: set `org: {actual}`"
        )));
    }
    Ok(Some(record::record(attributes, target.url())))
}

fn fits(target: &Target, machines: &[Machine]) -> Result<(), Failure> {
    let app = &target.app;
    let groups: BTreeSet<&str> =
        machines.iter().map(|machine| machine.metadata(GROUP).unwrap_or("app")).collect();
    if groups.len() > 1 {
        let groups = groups.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::invalid(format!(
            "the Fly app `{app}` has several process groups ({groups}), and a service is one: it cannot be taken over"
        )));
    }
    let (there, wanted) = (machines.len(), target.count);
    if there > wanted {
        return Err(Failure::invalid(format!(
            "the Fly app `{app}` has {there} machines, and a deploy with `count: {wanted}` would remove the others: \
             set `count: {there}`"
        )));
    }
    Ok(())
}
