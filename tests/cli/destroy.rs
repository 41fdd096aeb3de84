//! Removing an environment: guarded, in reverse order, resumable.

use serde_json::json;

use crate::common::Place;
use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};

const ENV: &str = "--env=sandbox";

#[test]
fn is_guarded_goes_backwards_and_goes_on_after_a_failure() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    place.ss(["destroy", ENV]).exits(6).says("SS0604").says("--yes=sandbox").says("lose its data");
    place.ss(["destroy", ENV, "--yes=prod"]).exits(6).says("`prod` is not `sandbox`");

    place.edit(
        "starsystem.sandbox.yaml",
        "  app-db:\n    target:",
        "  app-db:\n    protect: true\n    target:",
    );
    place.ss(["deploy", ENV]).exits(0);
    place.edit("starsystem.sandbox.yaml", "  app-db:\n    protect: true\n", "  app-db:\n");
    place.ss(["destroy", ENV, "--yes=sandbox"]).exits(6).says("`app-db` is protected");
    assert_eq!(sandbox.holds(), (1, 1, 1));

    place.ss(["destroy", ENV, "--service=api", "--yes=sandbox"]).exits(0).says("1 destroyed");
    assert_eq!(sandbox.holds(), (1, 0, 0));
    place.ss(["deploy", ENV]).exits(0).says("1 provisioned");
    place.edit(
        "starsystem.sandbox.yaml",
        "  app-db:\n    target:",
        "  app-db:\n    protect: false\n    target:",
    );
    place.ss(["deploy", ENV]).exits(0);

    sandbox.fault("DELETE /neon/api/v2/projects/{project_id}", 20, &json!({"status": 500}));
    let ran = place.ss(["destroy", ENV, "--yes=sandbox"]).exits(1);
    ran.says("Destroy incomplete: 1 destroyed, 1 left").says("goes on where this one stopped");
    assert_eq!(sandbox.holds(), (1, 0, 0));
    sandbox.control("DELETE", "faults", &serde_json::Value::Null);
    place.ss(["destroy", ENV, "--yes=sandbox"]).exits(0).says("1 destroyed");
    assert_eq!(sandbox.holds(), (0, 0, 0));
    place.ss(["destroy", ENV, "--yes=sandbox"]).exits(0).says("Nothing to destroy");
    let state = place.read("starsystem.sandbox.yaml");
    assert!(!state.contains("resource_id"), "{state}");
    place.ss(["vault", "get", "app-db.DATABASE_URL", ENV]).exits(1);
    place.ss(["inspect", ENV]).exits(0).says("✓ completed");
}

#[test]
fn what_is_gone_already_is_no_failure() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", ENV]).exits(0);
    sandbox.without_limits();
    sandbox.vendor("DELETE", "/fly/v1/apps/my-app-api?force=true", &serde_json::Value::Null);
    let state = place.json(["inspect", ENV, "--json"]);
    let project = state["state"]["app-db"]["resource_id"].as_str().expect("an id");
    sandbox.vendor("DELETE", &format!("/neon/api/v2/projects/{project}"), &serde_json::Value::Null);
    place.ss(["destroy", ENV, "--yes=sandbox"]).exits(0).says("2 destroyed");
}
