//! The Fly provisioner: an app, its addresses and secrets, and machines that are updated without an outage.
//!
//! What it may ask Fly for stands in `manifest.json`; what its fields mean too. Pure decisions (`config`,
//! `normal`, `health`, `rollout`, `refusal`) are apart from those that talk (`api`, `app`, `lease`, `watch`,
//! `rolling`, `probe`). Absent: URLs, tokens, values of secrets.

mod api;
mod app;
mod config;
mod deploy;
mod destroy;
mod duration;
mod find;
mod health;
mod lease;
mod machine;
mod normal;
mod probe;
mod read;
mod record;
mod refusal;
mod rolling;
mod rollout;
mod target;
#[cfg(test)]
mod tests;
mod watch;

pub use record::{Attributes, MachineFacts};
use starsystem_provisioner::{Failure, Outcome, Provisioner, Recorded, Service};
pub use target::{Guest, Target};

/// The provisioner.
pub struct Fly;

impl Provisioner for Fly {
    type Target = Target;
    type Attributes = Attributes;
    const MANIFEST: &str = include_str!("../manifest.json");

    fn apply(
        service: Service<Target>,
        recorded: Option<Recorded<Attributes>>,
    ) -> Result<Outcome<Attributes>, Failure> {
        deploy::apply(&service, recorded.as_ref())
    }

    fn read(
        service: Service<Target>,
        recorded: Recorded<Attributes>,
    ) -> Result<Option<Recorded<Attributes>>, Failure> {
        read::read(&service, &recorded)
    }

    fn find(service: Service<Target>, id: String) -> Result<Option<Recorded<Attributes>>, Failure> {
        find::app(&service.target, &service.mark, id)
    }

    fn destroy(recorded: Recorded<Attributes>) -> Result<(), Failure> {
        destroy::destroy(&recorded)
    }
}

starsystem_provisioner::export!(Fly);
