//! The manifest keeps the promises that users and the README build on.

use starsystem_provisioner::Provisioner;
use starsystem_provisioner::serde_json::{self, Value};

use crate::Fly;

fn manifest() -> Value {
    serde_json::from_str(Fly::MANIFEST).expect("the manifest is JSON")
}

fn operations(manifest: &Value) -> impl Iterator<Item = &Value> {
    let connections = manifest["connections"].as_array().into_iter().flatten();
    connections.flat_map(|connection| connection["operations"].as_array().into_iter().flatten())
}

#[test]
fn every_field_says_what_it_is_and_what_happens_without_it() {
    let manifest = manifest();
    let schema = &manifest["targets"][0]["schema"];
    let required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().unwrap() {
        let description = field["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{name} has no description");
        let known = required.contains(&name.as_str())
            || !field["default"].is_null()
            || description.contains("Default:")
            || name == "concurrency";
        assert!(known, "{name} has no default and is not required");
    }
}

#[test]
fn the_readme_lists_every_field_and_every_right() {
    let readme = include_str!("../../README.md");
    let manifest = manifest();
    let fields = manifest["targets"][0]["schema"]["properties"].as_object().unwrap();
    for name in fields.keys() {
        assert!(readme.contains(&format!("| `{name}` |")), "README.md does not list `{name}`");
    }
    for operation in operations(&manifest).filter(|operation| !operation["in"].is_null()) {
        let name = operation["name"].as_str().unwrap();
        assert!(readme.contains(&format!("`{name}`")), "README.md does not list `{name}`");
    }
}

#[test]
fn the_plan_line_is_the_one_that_users_know() {
    assert_eq!(manifest()["targets"][0]["creates"], "Fly app + machine, region={region}");
}

#[test]
fn only_the_app_goes_in_a_destroy_and_only_machines_in_an_update() {
    let manifest = manifest();
    let named = |phase: &str| -> Vec<String> {
        let wanted = operations(&manifest).filter(|operation| {
            let phases = operation["in"].as_array().into_iter().flatten();
            operation["destroys"] == true && phases.into_iter().any(|one| one == phase)
        });
        wanted.map(|operation| operation["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named("destroy"), ["deleteApp"]);
    assert_eq!(named("update"), ["deleteMachine"]);
}

#[test]
fn what_waits_at_fly_may_take_longer_than_fly_waits() {
    let manifest = manifest();
    let wait = operations(&manifest).find(|operation| operation["name"] == "waitMachine").unwrap();
    assert!(wait["timeout_ms"].as_u64().unwrap() > 60_000);
}
