//! A plan as a user reads and keeps it: what changes, what is guarded, and a saved one that is done exactly or not at all.

use serde_json::Value;

use crate::common::Place;
use crate::common::project::database;
use crate::common::sandbox::{Sandbox, free_port};

const OVERLAY: &str = "starsystem.sandbox.yaml";

fn deployed(place: &Place) -> Sandbox<'_> {
    let port = free_port();
    database(place, port);
    let sandbox = Sandbox::start(place, port, &place.path().join("sandbox.yaml"));
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    sandbox
}

fn writes(sandbox: &Sandbox<'_>) -> usize {
    sandbox.requests().iter().filter(|request| !request.starts_with("GET ")).count()
}

#[test]
fn a_saved_plan_is_done_exactly_or_not_at_all() {
    let place = Place::new();
    let sandbox = deployed(&place);
    let saved = "plan.json";
    place.edit(OVERLAY, "project_name: my-app", "project_name: second");
    place.ss(["plan", "--env=sandbox", "--out", saved]).exits(0).says("my-app → second");

    // The configuration moves on: not what was planned, so nothing is done.
    place.edit(OVERLAY, "project_name: second", "project_name: third");
    let before = writes(&sandbox);
    let stale = place.ss(["deploy", saved, "--env=sandbox"]).exits(1);
    stale.says("SS0306").says("the configuration").says("nothing was done");
    assert_eq!(writes(&sandbox), before);

    place.edit(OVERLAY, "project_name: third", "project_name: second");
    place.ss(["deploy", saved, "--env=sandbox"]).exits(0).says("1 provisioned");
    assert_eq!(writes(&sandbox), before + 1, "renamed by one request");

    // Done once, the state has moved: the same plan is not done again.
    place.ss(["deploy", saved, "--env=sandbox"]).exits(1).says("SS0306").says("the state moved");
    place.write(saved, "{\"version\": 1}");
    place.ss(["deploy", saved, "--env=sandbox"]).exits(1).says("SS0305");
    assert_eq!(writes(&sandbox), before + 1);
}

#[test]
fn a_replace_names_its_field_and_needs_two_words_of_consent() {
    let place = Place::new();
    let sandbox = deployed(&place);
    place.edit(OVERLAY, "region: us-east-2", "region: eu-central-1");
    let plan = place.ss(["plan", "--env=sandbox"]).exits(6);
    assert!(plan.stdout.contains("± app-db  neon · "), "{}", plan.stdout);
    let field = "region: us-east-2 → eu-central-1  (forces a replace)";
    plan.says(field).says("--allow-replace=app-db");
    let before = writes(&sandbox);
    place.ss(["deploy", "--env=sandbox", "--yes"]).exits(6).says("SS0603");
    place.ss(["plan", "--env=sandbox", "--allow-replace=app-db"]).exits(0).says("1 to replace");
    // Nobody is there to ask.
    place.ss(["deploy", "--env=sandbox", "--allow-replace=app-db"]).exits(6).says("SS0604");
    assert_eq!(writes(&sandbox), before);

    place.ss(["deploy", "--env=sandbox", "--allow-replace=app-db", "--yes"]).exits(0);
    assert_eq!(sandbox.holds().0, 1);
    place.ss(["plan", "--env=sandbox"]).exits(0).says("1 unchanged");
}

#[test]
fn a_service_that_vanishes_and_holds_data_is_guarded_and_protection_outlives_its_line() {
    let place = Place::new();
    let sandbox = deployed(&place);
    place.edit(
        OVERLAY,
        "    target:\n      type: neon",
        "    protect: true\n    target:\n      type: neon",
    );
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let (base, overlay) = (place.read("starsystem.yaml"), place.read(OVERLAY));
    let without = |text: &str| {
        let start = text.find("  app-db:").expect("the service");
        let rest = &text[start + 3..];
        let end =
            rest.find("\n# ").or(rest.find("\n_state")).map_or(text.len(), |at| start + 3 + at);
        format!("{}{}", text[..start].trim_end().trim_end_matches("services:"), &text[end..])
    };
    place.write("starsystem.yaml", &format!("{}services: {{}}\n", without(&base)));
    place.write(OVERLAY, &without(&overlay));
    let plan = place.ss(["plan", "--env=sandbox"]).exits(6);
    assert!(plan.stdout.contains("- app-db  neon · "), "{}", plan.stdout);
    let allowed = ["deploy", "--env=sandbox", "--allow-destroy=app-db", "--yes"];
    place.ss(allowed).exits(6).says("protect");
    assert_eq!(sandbox.holds().0, 1);

    // Protection is lifted where it was put: in the configuration, by a deploy.
    place.write("starsystem.yaml", &base);
    place.write(OVERLAY, &overlay.replace("protect: true", "protect: false"));
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let overlay = place.read(OVERLAY);
    place.write("starsystem.yaml", &format!("{}services: {{}}\n", without(&base)));
    place.write(OVERLAY, &without(&overlay));
    place.ss(["deploy", "--env=sandbox", "--yes"]).exits(6).says("--allow-destroy=app-db");
    place.ss(allowed).exits(0);
    assert_eq!(sandbox.holds().0, 0);
}

#[test]
fn a_refresh_reads_and_says_how_much() {
    let place = Place::new();
    let sandbox = deployed(&place);
    let before = writes(&sandbox);
    let refreshed = place.ss(["plan", "--env=sandbox", "--refresh"]).exits(0);
    let last = refreshed.stdout.trim_end().lines().last().expect("a line").to_owned();
    assert!(last.ends_with(" GET, 0 writes (enforced)"), "{last}");
    let json = place.ss(["plan", "--env=sandbox", "--refresh", "--json"]).exits(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["requests"]["write"], 0);
    assert!(json["requests"]["read"].as_u64() > Some(0));

    // What somebody deleted is to be made again, and a plan without a look cannot know.
    sandbox.control("POST", "reset", &Value::Null);
    place.ss(["plan", "--env=sandbox"]).exits(0).says("1 unchanged");
    place.ss(["plan", "--env=sandbox", "--refresh"]).exits(0).says("1 to create");
    assert_eq!(writes(&sandbox), 0, "the journal began anew; {before} before");
}
