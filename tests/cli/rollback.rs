//! Going back: what it restores, what it leaves, and that a deploy then converges.

use serde_json::{Value, json};

use crate::common::Place;
use crate::common::project::{database, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};

const ENV: &str = "--env=sandbox";
const V1: &str = "ghcr.io/me/my-app-api:latest";
const V2: &str = "ghcr.io/me/my-app-api:v2";

fn version(sandbox: &Sandbox<'_>) -> String {
    let body = sandbox.get("/app/my-app-api/").body;
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    body["version"].as_str().expect("a version").to_owned()
}

fn without_state(text: &str) -> &str {
    text.split("_state:").next().expect("the user's part")
}

#[test]
fn a_new_image_and_the_way_back() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    let first = place.latest();
    let written = place.read("starsystem.sandbox.yaml");
    place.edit("starsystem.sandbox.yaml", V1, V2);
    place.ss(["deploy", ENV]).exits(0);
    let second = place.latest();
    assert_eq!(version(&sandbox), "v2");

    let listed = place.ss(["rollback", ENV, "--list"]).exits(0).stdout;
    let ids: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(ids, [second.as_str(), first.as_str()]);

    let asked = sandbox.requests().len();
    let short = &first[..8];
    let ran = place.ss(["rollback", ENV, &format!("--to={short}")]).exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            format!(
                "✓ Rolled back to deploy {short} — credentials and overlay state restored. Re-deploy services that \
                 depend on rolled-back credentials."
            ),
            format!("  api.target.image: {V2}, was {V1}"),
        ]
    );
    assert_eq!(sandbox.requests().len(), asked, "nothing had to be asked");
    assert_eq!(version(&sandbox), "v2", "the real thing was not touched");
    let back = place.json(["inspect", ENV, "--json"]);
    assert_eq!((&back["status"], &back["run"]), (&json!("rolled-back"), &json!("rollback")));
    assert_eq!(back["state"]["api"]["attributes"]["image"], V1, "`_state` says v1");
    assert!(place.read("starsystem.sandbox.yaml").contains(back["id"].as_str().expect("an id")));

    // The configuration still says v2, and nobody knows whether that is what runs.
    place.ss(["plan", ENV]).exits(0).says("~ api").says("what is there may not be as recorded");
    place.edit("starsystem.sandbox.yaml", &format!("image: {V2}"), &format!("image: {V1}"));
    let plan = place.ss(["plan", ENV]).exits(0).stdout;
    assert!(plan.contains(&format!("      image: {V2} → {V1}\n")), "{plan}");
    assert!(plan.ends_with("Plan: 0 to create, 1 to update, 1 unchanged.\n"), "{plan}");
    place.ss(["deploy", ENV]).exits(0).says("Deploy complete: 1 provisioned");
    assert_eq!(version(&sandbox), "v1");
    place.ss(["plan", ENV]).exits(0).says("0 to update, 2 unchanged");

    // Forward again in one command, configuration included; and back by undoing exactly that.
    let ran =
        place.ss(["rollback", ENV, &format!("--to={second}"), "--restore-config", "--deploy"]);
    ran.exits(0).says("starsystem.sandbox.yaml is as that deploy read it").says("1 provisioned");
    assert_eq!(version(&sandbox), "v2");
    assert!(place.read("starsystem.sandbox.yaml").contains(&format!("image: {V2}")));
    let deploys = place.json(["inspect", ENV, "--list", "--json"]);
    let undo = deploys["deploys"][1]["id"].as_str().expect("the rollback").to_owned();
    let ran = place.ss(["rollback", ENV, &format!("--to={undo}"), "--restore-config", "--deploy"]);
    ran.exits(0);
    assert_eq!(version(&sandbox), "v1");
    assert_eq!(without_state(&place.read("starsystem.sandbox.yaml")), without_state(&written));
    place.ss(["drift", ENV]).exits(0);
    assert_eq!(sandbox.holds(), (1, 1, 1), "nothing was made twice");
}

#[test]
fn credentials_go_back_and_one_that_no_longer_works_is_told() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    let (first, old) = (place.latest(), place.database_password());
    crate::drift::reset_password(&place, &sandbox);
    place.ss(["deploy", ENV, "--refresh"]).exits(0);
    let new = place.database_password();
    assert_ne!(old, new);
    place.ss(["vault", "set", "fly.api_token", "fo1_mine"]).exits(0);

    let ran = place.ss(["rollback", ENV, "--json", &format!("--to={first}")]).exits(0);
    ran.says("`app-db.DATABASE_URL` was restored and no longer works");
    assert_eq!(place.database_password(), old);
    let token = place.ss(["vault", "get", "fly.api_token"]).exits(0).stdout;
    assert_eq!(token, "fo1_mine", "provider tokens are left alone");

    place.ss(["plan", ENV]).exits(0).says("~ app-db");
    place.ss(["deploy", ENV]).exits(0);
    assert_eq!(place.database_password(), new, "a deploy fetches the one that works");
    place.ss(["drift", ENV]).exits(0);
}

#[test]
fn nothing_that_exists_is_forgotten() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let both = place.read("starsystem.sandbox.yaml");
    let base = place.read("starsystem.yaml");
    database(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    let first = place.latest();
    let state = place.read("starsystem.sandbox.yaml");
    let state = &state[state.find("_state:").expect("a state")..];
    place.write("starsystem.yaml", &base);
    place.write("starsystem.sandbox.yaml", &format!("{both}{state}"));
    place.ss(["deploy", ENV]).exits(0);
    let ran = place.ss(["rollback", ENV, &format!("--to={first}")]).exits(0);
    ran.says("api: made since; stays recorded");
    place.ss(["plan", ENV]).exits(0).says("0 to create, 0 to update, 2 unchanged");
    place.ss(["destroy", ENV, "--yes=sandbox"]).exits(0).says("2 destroyed");
    assert_eq!(sandbox.holds(), (0, 0, 0));
    let ran = place.ss(["rollback", ENV, &format!("--to={first}")]).exits(0);
    ran.says("app-db: destroyed since");
    place.ss(["plan", ENV]).exits(0).says("2 to create");
}

#[test]
fn bad_ids_are_told() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    place.ss(["rollback", ENV, "--to=ed060a44"]).exits(1).says("SS0407");
    place.ss(["deploy", ENV]).exits(0);
    let id = place.latest();
    place.ss(["rollback", ENV, "--to=zzzz"]).exits(1).says("SS0407").says("--list");
    place.ss(["rollback", ENV, "--to=zz"]).exits(2).says("at least 4 characters");
    place.ss(["rollback", ENV]).exits(2).says("--to=ID");
    place.ss(["rollback", ENV, "--restore-config"]).exits(2);
    let snapshot = place.store().join(format!("snapshots/{id}.json"));
    std::fs::remove_file(snapshot).expect("a snapshot");
    place.ss(["rollback", ENV, &format!("--to={id}")]).exits(1).says("SS0408");
    place.ss(["plan", ENV]).exits(0).says("1 unchanged");
}
