//! Problems in the files, and the exit code that goes with them.

use crate::common::Place;
use crate::common::project::walkthrough;

#[test]
fn the_walkthroughs_files_are_valid() {
    let place = Place::new();
    walkthrough(&place, 4400);
    let ran = place.ss(["validate", "--env=sandbox"]).exits(0);
    assert_eq!(
        ran.stdout,
        "✓ starsystem.yaml (2 services)\n✓ starsystem.sandbox.yaml (2 services)\nConfiguration is valid.\n"
    );
}

#[test]
fn the_plan_is_the_walkthroughs_to_the_letter_and_writes_nothing() {
    let place = Place::new();
    walkthrough(&place, 4400);
    let ran = place.ss(["plan", "--env=sandbox"]).exits(0);
    assert_eq!(
        ran.stdout,
        "  + app-db  neon · will create (Neon project + branch + role + db)\n  \
           + api     fly · will create (Fly app + machine, region=iad)\n\n\
         Plan: 2 to create, 0 to update, 0 unchanged.\n"
    );
    assert!(!place.home().exists(), "a plan made a home");
}

#[test]
fn every_problem_is_named_with_its_place() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.edit("starsystem.sandbox.yaml", "region: iad", "regoin: iad");
    place.edit("starsystem.yaml", "depends_on: [app-db]", "depends_on: [app-bd]");
    let ran = place.ss(["validate", "--env=sandbox"]).exits(3);
    let ran = ran
        .says("starsystem.sandbox.yaml:")
        .says("did you mean `region`")
        .says("starsystem.yaml:")
        .says("app-db");
    assert_eq!(ran.stdout, "");
}
