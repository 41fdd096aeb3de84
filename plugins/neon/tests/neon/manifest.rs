//! The manifest as a user and the plan see it.

use std::collections::BTreeSet;

use serde_json::Value;
use ss_plugin_neon::Neon;
use starsystem_provisioner::Provisioner;

fn manifest() -> Value {
    serde_json::from_str(Neon::MANIFEST).expect("JSON")
}

#[test]
fn the_plan_line_is_the_walkthroughs() {
    assert_eq!(manifest()["targets"][0]["creates"], "Neon project + branch + role + db");
    assert_eq!(manifest()["targets"][0]["data"], true);
}

#[test]
fn every_field_says_what_it_is() {
    let manifest = manifest();
    let fields = manifest["targets"][0]["schema"]["properties"].as_object().expect("fields");
    for (name, field) in fields {
        let text = field["description"].as_str().unwrap_or_default();
        let says_default =
            field.get("default").is_some() || text.contains("Default:") || name == "region";
        assert!(text.ends_with('.') && says_default, "{name}: {text}");
        assert_eq!(field.get("x-immutable").is_some(), text.contains("Cannot change."), "{name}");
    }
}

#[test]
fn few_operations_make_remove_adopt_or_reveal() {
    let manifest = manifest();
    let operations = manifest["connections"][0]["operations"].as_array().expect("operations");
    let names = |key: &str| -> BTreeSet<&str> {
        let with = operations.iter().filter(|operation| operation.get(key).is_some());
        with.map(|operation| operation["name"].as_str().expect("a name")).collect()
    };
    assert_eq!(names("owns"), BTreeSet::from(["createProject"]));
    assert_eq!(names("destroys"), BTreeSet::from(["deleteProject"]));
    assert_eq!(
        names("secrets"),
        BTreeSet::from(["createProject", "getConnectionUri", "resetRolePassword"])
    );
    assert_eq!(names("adopts"), BTreeSet::from(["listBranches"]));
    assert_eq!(names("fills"), BTreeSet::new());
}
