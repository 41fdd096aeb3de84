//! `read`: what is there now, in the shape in which it is recorded.

use starsystem_provisioner::{Failure, Recorded, Service};

use crate::api::Api;
use crate::record::{self, Attributes, Ours, Surroundings};
use crate::refusal::Names;
use crate::target::Target;

/// Reads the app and its machines; `None` when the app is gone. A token that may not look is a failure, never
/// “gone”.
pub fn read(
    service: &Service<Target>,
    recorded: &Recorded<Attributes>,
) -> Result<Option<Recorded<Attributes>>, Failure> {
    let earlier = &recorded.attributes;
    let api = Api::new(names(recorded));
    let Some(app) = api.find_app()? else { return Ok(None) };
    let addresses = api.addresses()?;
    let mut secrets =
        if earlier.secrets.is_empty() { earlier.secrets.clone() } else { api.secrets()?.digests };
    secrets.retain(|name, _| earlier.secrets.contains_key(name));
    let mut machines = api.machines()?;
    // A list may lag behind: a machine that is recorded and not in it is asked for itself.
    for own in earlier.machines.values() {
        if machines.iter().all(|machine| machine.id != own.id) {
            machines.extend(api.machine(&own.id)?.filter(|machine| !machine.is_gone()));
        }
    }
    let around = Surroundings { app, addresses, secrets };
    let ours = Ours::of(&service.mark, Some(earlier));
    let seen = Attributes::observed(&recorded.id, &earlier.org, &around, &machines, &ours);
    Ok(Some(record::record(seen.with_unseen(&machines, earlier), recorded.url.clone())))
}

/// What sentences about a recorded app name.
pub fn names(recorded: &Recorded<Attributes>) -> Names {
    let Attributes { org, region, image, .. } = &recorded.attributes;
    Names {
        app: recorded.id.clone(),
        org: org.clone(),
        region: region.clone(),
        image: image.clone(),
    }
}
