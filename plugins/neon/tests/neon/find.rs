//! Taking over a project by its id: reads only, and nothing is taken over half.

use serde_json::{Value, json};
use ss_plugin_neon::{Attributes, Neon};
use starsystem_provisioner::testing::{Phase, Script};
use starsystem_provisioner::{Failure, FailureKind, Provisioner, Recorded};

use crate::fixtures::*;

fn find(script: Script, fields: Value) -> Result<Option<Recorded<Attributes>>, Failure> {
    script.run(|| Neon::find(service(fields), PROJECT.to_owned())).result
}

fn listed() -> Script {
    let mut script = script(Phase::Read);
    script.on("getProject").reply(200, json!({"project": project()}));
    let mut other = branch("ready");
    other["id"] = json!("br-other");
    other["default"] = json!(false);
    script.on("listBranches").reply(200, json!({"branches": [other, branch("ready")]}));
    script
}

#[test]
fn the_record_is_the_one_a_deploy_would_have_made() {
    let mut script = listed();
    sees_all_well(&mut script);
    assert_eq!(find(script, json!({})).expect("found"), Some(recorded(json!({}))));
}

#[test]
fn another_database_name_is_told() {
    let mut script = listed();
    script.on("getProject").reply(200, json!({"project": project()}));
    script.on("getBranch").reply(200, json!({"branch": branch("ready")}));
    script.on("listBranchEndpoints").reply(200, json!({"endpoints": [endpoint("idle")]}));
    script.on("getDatabase").reply(404, error("database not found for branch"));
    script.on("getRole").reply(200, json!({"role": {"name": "neondb_owner"}}));
    let failure = find(script, json!({})).expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(failure.message.contains("no database `neondb` on its branch `main`"), "{failure}");
}

#[test]
fn what_cannot_be_changed_is_told_before_it_is_taken_over() {
    let mut script = listed();
    sees_all_well(&mut script);
    let failure = find(script, json!({"pg_version": 16})).expect_err("refused");
    assert!(failure.message.contains("has `pg_version` 17"), "{failure}");
}

#[test]
fn no_such_project_is_none() {
    let mut script = script(Phase::Read);
    script.on("getProject").reply(404, error("project not found"));
    assert_eq!(find(script, json!({})), Ok(None));
}
