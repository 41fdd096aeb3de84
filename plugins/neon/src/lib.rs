//! The Neon provisioner: one project with its branch, compute, database and role.
//!
//! A project is found again by an annotation on its first branch that carries the service's mark; its name
//! proves nothing. Passwords never pass through here, only handles. It never deletes a project to change one.

mod api;
mod attributes;
mod change;
mod credentials;
mod explain;
mod find;
mod make;
mod operations;
mod remove;
mod rfc3339;
mod target;

use std::time::Duration;

use starsystem_provisioner::{Failure, Outcome, Provisioner, Recorded, Service, log};

use api::Place;
pub use attributes::Attributes;
use attributes::Seen;
pub use target::{Sizing, Target};

/// The provisioner.
pub struct Neon;

/// How long Neon's reads may lag behind its writes.
const READ_LAG: Duration = Duration::from_secs(10);

impl Provisioner for Neon {
    type Target = Target;
    type Attributes = Attributes;
    const MANIFEST: &str = include_str!("../manifest.json");

    fn apply(
        service: Service<Target>,
        recorded: Option<Recorded<Attributes>>,
    ) -> Result<Outcome<Attributes>, Failure> {
        let target = &service.target;
        target.check()?;
        let (place, mut summary) = match &recorded {
            Some(recorded) => (Place::of(&recorded.attributes, target), "project as wanted"),
            None => make::project(&service)?,
        };
        let seen = match Seen::settled(&place, READ_LAG)? {
            Some(seen) => seen,
            None => return Err(remove::gone_while_wanted(&place)?),
        };
        seen.check(&place, target)?;
        let name = target.project_name(&service.id);
        let changed = change::bring_in_line(&place, &seen, recorded.as_ref(), name, target)?;
        if changed.is_some() {
            summary = "project updated";
        }
        let seen = changed.unwrap_or(seen);
        let made = seen.record(&place, &target.kept());
        let urls = credentials::urls(&place, made.attributes.host.as_deref().unwrap_or_default())?;
        Ok(Outcome::new(made, format!("{summary}, 2 outputs"))
            .output("DATABASE_URL", urls.pooled)
            .output("DATABASE_URL_UNPOOLED", urls.direct))
    }

    fn read(
        service: Service<Target>,
        recorded: Recorded<Attributes>,
    ) -> Result<Option<Recorded<Attributes>>, Failure> {
        let place = Place::of(&recorded.attributes, &service.target);
        if let Some(seen) = Seen::of(&place, Duration::ZERO)? {
            if seen.is_whole() {
                credentials::look(&place)?;
            }
            return Ok(Some(seen.record(&place, &recorded.attributes.kept())));
        }
        if let Some(deleted) = remove::find_deleted(&place)? {
            log!("the Neon project {} was {}", place.project_id, deleted.story());
        }
        Ok(None)
    }

    fn find(service: Service<Target>, id: String) -> Result<Option<Recorded<Attributes>>, Failure> {
        find::project(&service.target, id)
    }

    fn destroy(recorded: Recorded<Attributes>) -> Result<(), Failure> {
        remove::project(&recorded.attributes)
    }
}

starsystem_provisioner::export!(Neon);
