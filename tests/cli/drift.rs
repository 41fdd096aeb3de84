//! What somebody changed behind our back, through the vendors' own APIs: seen, named, mended or recorded.

use serde_json::{Value, json};

use crate::common::project::{database, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

const ENV: &str = "--env=sandbox";
const NEON: &str = "/neon/api/v2/projects";
const FLY: &str = "/fly/v1/apps/my-app-api";

/// Gives the database's role a new password at Neon.
pub fn reset_password(place: &Place, sandbox: &Sandbox<'_>) {
    let state = place.json(["inspect", ENV, "--json"]);
    let facts = &state["state"]["app-db"]["attributes"];
    let text = |name: &str| facts[name].as_str().expect("a text").to_owned();
    let (project, branch, role) = (text("project_id"), text("branch_id"), text("role"));
    let path = format!("{NEON}/{project}/branches/{branch}/roles/{role}/reset_password");
    sandbox.vendor("POST", &path, &Value::Null);
    settle(sandbox, &project);
}

/// Waits until Neon has done what it was asked to.
fn settle(sandbox: &Sandbox<'_>, project: &str) {
    for _ in 0..200 {
        let listed = sandbox.vendor("GET", &format!("{NEON}/{project}/operations"), &Value::Null);
        let operations = listed["operations"].as_array().expect("a list");
        if operations.iter().all(|operation| operation["status"] == "finished") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("Neon does not come to rest");
}

fn machine(sandbox: &Sandbox<'_>) -> Value {
    sandbox.vendor("GET", &format!("{FLY}/machines"), &Value::Null)[0].clone()
}

/// Changes the machine's configuration at Fly.
fn change_machine(sandbox: &Sandbox<'_>, change: impl FnOnce(&mut Value)) {
    let machine = machine(sandbox);
    let mut config = machine["config"].clone();
    change(&mut config);
    let path = format!("{FLY}/machines/{}", machine["id"].as_str().expect("an id"));
    sandbox.vendor("POST", &path, &json!({"config": config}));
    sandbox.vendor("GET", &format!("{path}/wait?state=started"), &Value::Null);
}

fn drifted(place: &Place, said: &[&str]) {
    let mut ran = place.ss(["drift", ENV]).exits(4);
    for text in said {
        ran = ran.says(text);
    }
    assert!(ran.stderr.contains("0 writes (enforced)"), "{}", ran.stderr);
}

fn fixed(place: &Place) {
    place.ss(["drift", ENV, "--fix"]).exits(0);
    place.ss(["drift", ENV]).exits(0);
    place.ss(["plan", ENV]).exits(0).says("2 unchanged");
}

#[test]
fn changes_at_fly_are_seen_mended_and_recorded() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();

    let (v1, v2) = ("ghcr.io/me/my-app-api:latest", "ghcr.io/me/my-app-api:v2");
    change_machine(&sandbox, |config| config["image"] = json!(v2));
    drifted(
        &place,
        &["~ api  drifted", &format!("      image: {v1} → {v2}"), "✓ app-db  no drift"],
    );
    let found = Ran::of(place.command().args(["drift", ENV, "--json"]).output().expect("runs"));
    let found: Value = serde_json::from_str(&found.exits(4).stdout).expect("JSON");
    assert_eq!((&found["kind"], &found["drifted"]), (&json!("drift"), &json!(true)));
    let api =
        found["services"].as_array().expect("a list").iter().find(|one| one["service"] == "api");
    let api = api.expect("api");
    assert_eq!(api["status"], "drifted");
    let image = json!({"path": "image", "recorded": v1, "actual": v2});
    assert!(api["changes"].as_array().expect("a list").contains(&image), "{api}");
    fixed(&place);
    assert_eq!(machine(&sandbox)["config"]["image"], v1);

    change_machine(&sandbox, |config| config["image"] = json!(v2));
    place.ss(["drift", ENV, "--adopt"]).exits(0).says("Recorded as it is");
    place.ss(["drift", ENV]).exits(0);
    assert_eq!(machine(&sandbox)["config"]["image"], v2, "recording changes nothing");
    place.ss(["plan", ENV]).exits(0).says(&format!("image: {v2} → {v1}"));
    place.ss(["deploy", ENV]).exits(0);

    change_machine(&sandbox, |config| config["env"]["DEBUG"] = json!("1"));
    drifted(&place, &["env: [\"NODE_ENV\"] → [\"DEBUG\",\"NODE_ENV\"]", "machines.api-1.version"]);
    fixed(&place);

    let id = machine(&sandbox)["id"].as_str().expect("an id").to_owned();
    sandbox.vendor("POST", &format!("{FLY}/machines/{id}/stop"), &json!({}));
    sandbox.vendor("GET", &format!("{FLY}/machines/{id}/wait?state=stopped"), &Value::Null);
    drifted(&place, &["machines.api-1.state: (none) → stopped"]);
    fixed(&place);

    sandbox.vendor("DELETE", &format!("{FLY}/machines/{id}?force=true"), &Value::Null);
    drifted(&place, &["machines", "→ (none)"]);
    fixed(&place);
    assert_eq!(sandbox.holds(), (1, 1, 1));

    sandbox.vendor("DELETE", &format!("{FLY}?force=true"), &Value::Null);
    drifted(&place, &["✗ api  gone", "✓ app-db  no drift"]);
    fixed(&place);
    assert_eq!(sandbox.get("/app/my-app-api/health").status, 200);
}

#[test]
fn changes_at_neon_are_seen_from_a_fresh_checkout_too() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    place.edit(
        "starsystem.sandbox.yaml",
        "project_name: my-app",
        "project_name: my-app\n      credential_env: NEON_API_KEY",
    );
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    let state = place.json(["inspect", ENV, "--json"]);
    let project = state["state"]["app-db"]["resource_id"].as_str().expect("an id").to_owned();
    let path = format!("{NEON}/{project}");

    // Only the two files, and a home that is empty before and after.
    let checkout = Place::new();
    for name in ["starsystem.yaml", "starsystem.sandbox.yaml"] {
        checkout.write(name, &place.read(name));
    }
    let look = |code: i32| {
        let mut command = checkout.command();
        command.args(["drift", ENV]).env("NEON_API_KEY", "sandbox-neon-key");
        let ran = Ran::of(command.output().expect("runs")).exits(code);
        assert!(!checkout.home().exists(), "drift left something behind");
        ran
    };
    look(0).says("✓ app-db  no drift");

    sandbox.vendor("PATCH", &path, &json!({"project": {"name": "theirs"}}));
    look(4).says("project_name: my-app → theirs");
    place.ss(["drift", ENV, "--adopt"]).exits(0);
    place.ss(["drift", ENV]).exits(0);
    place.ss(["plan", ENV]).exits(0).says("project_name: theirs → my-app");
    place.ss(["deploy", ENV]).exits(0);

    let before = place.database_password();
    reset_password(&place, &sandbox);
    place
        .ss(["drift", ENV])
        .exits(4)
        .says("credentials.DATABASE_URL: (secret) → (secret, changed)");
    place.ss(["drift", ENV, "--fix"]).exits(0);
    place.ss(["drift", ENV]).exits(0);
    assert_ne!(place.database_password(), before);

    sandbox.vendor("DELETE", &path, &Value::Null);
    look(4).says("✗ app-db  gone").says("can be recovered until");
    place.ss(["drift", ENV, "--fix"]).exits(1).says("can be recovered");

    let mut wrong = checkout.command();
    wrong.args(["drift", ENV]).env("NEON_API_KEY", "napi_wrong");
    Ran::of(wrong.output().expect("runs")).exits(1).says("could not be checked");
}

#[test]
fn a_hundred_idle_looks_find_nothing() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    let before = sandbox.requests().len();
    for look in 0..100 {
        let ran = place.ss(["drift", ENV, "--quiet"]);
        assert_eq!(ran.code, 0, "look {look}: {}{}", ran.stdout, ran.stderr);
    }
    let asked = sandbox.requests();
    assert!(asked[before..].iter().all(|request| request.starts_with("GET ")), "only reads");
}
