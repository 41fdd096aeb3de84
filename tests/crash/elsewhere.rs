//! What another machine makes of a run that was killed on this one, and what a cloud does that shows late what it made.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::cases::{self, Case, Trouble};
use crate::common::Place;
use crate::matrix::{self, number};
use crate::proxy::Fault;
use crate::scenario::Scenario;
use crate::world::World;

/// The overlay came along, the home did not: no journal, no tape, no vault.
#[test]
fn another_machine_finds_what_a_killed_run_made() {
    let place = Place::new();
    let world = World::new(&place);
    let (base, overlay) = (place.read("starsystem.yaml"), place.read("starsystem.sandbox.yaml"));
    let cut = |text: &str, at: &str| text.split(at).next().expect("a part").to_owned();
    place.write("starsystem.yaml", &cut(&base, "\n  api:"));
    place.write("starsystem.sandbox.yaml", &cut(&overlay, "\n  api:"));
    world.run(&["deploy", "--env=sandbox"]).exits(0);

    let service = "\n  events:\n    type: database\n    depends_on: []\n";
    place.write("starsystem.yaml", &(place.read("starsystem.yaml") + service));
    let target = "\n\n  events:\n    target: { type: neon, region: us-east-2 }\n";
    world.edit("project_name: my-app", &format!("project_name: my-app{target}"));
    let checkout = place.read("starsystem.sandbox.yaml");
    // Each run comes one request further, and the last one is killed when the second project has been made.
    let mut at = 0;
    while world.sandbox.holds().0 == 1 {
        world.disturbed(&[], &["deploy", "--env=sandbox"], Some((at, Fault::KilledAfter)));
        at += 1;
        assert!(at < 12, "no project is made: {:?}", world.proxy.requests());
    }

    for lost in ["systems", "vault", "identity"] {
        let path = place.home().join(lost);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .expect("it can be removed");
    }
    place.write("starsystem.sandbox.yaml", &checkout);
    world.run(&["deploy", "--env=sandbox"]).exits(0).says("made by an earlier run");
    assert_eq!(world.sandbox.holds().0, 2, "a second project was made for the same service");
    world.run(&["vault", "get", "events.DATABASE_URL", "--env=sandbox"]).exits(0);
}

/// Lists and reads lag behind, and what was made is looked for all the same.
#[test]
fn what_a_cloud_shows_late_is_not_made_twice() {
    let place = Place::new();
    let world = World::new(&place);
    let mut chosen: Vec<Case> = cases::of(Scenario::Create, &world, false);
    chosen.retain(|case| match &case.trouble {
        Trouble::Request { what, fault, .. } => {
            what.starts_with("POST ") && matches!(fault, Fault::KilledAfter | Fault::CutAfter)
        }
        _ => false,
    });
    let lag = json!({
        "neon": {"list_lag_ms": 3000, "read_lag_ms": 1000},
        "fly": {"list_lag_ms": 3000, "app_lag_ms": 1500},
    });
    let failures = matrix::all(chosen, number("SS_CRASH_WORKERS", 6), &|world| {
        world.sandbox.control("POST", "settings", &lag);
        world.lag = Duration::from_secs(3);
    })
    .failures;
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
}
