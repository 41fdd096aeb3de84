//! Reading a project: facts only, and gone only when it is surely gone.

use serde_json::json;
use ss_plugin_neon::Neon;
use starsystem_provisioner::testing::Phase;
use starsystem_provisioner::{FailureKind, Provisioner};

use crate::fixtures::*;

#[test]
fn reads_the_same_facts_that_were_recorded() {
    let kept = json!({"history_retention_seconds": 21600, "autoscaling_limit_min_cu": 0.25});
    for record in [recorded(json!({})), recorded(kept)] {
        let mut script = script(Phase::Read);
        sees(&mut script, project(), branch("archived"), endpoint("active"));
        gets_urls(&mut script);
        let read = script.run(|| Neon::read(service(json!({})), record.clone())).result;
        assert_eq!(read.expect("read"), Some(record));
    }
}

#[test]
fn a_setting_wished_for_but_not_deployed_is_no_drift() {
    let mut script = script(Phase::Read);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let wish = json!({"history_retention_seconds": 60, "suspend_timeout_seconds": 60, "database": "other"});
    let read = script.run(|| Neon::read(service(wish), recorded(json!({})))).result;
    assert_eq!(read.expect("read"), Some(recorded(json!({}))));
}

#[test]
fn what_somebody_changed_shows() {
    let mut script = script(Phase::Read);
    let mut project = project();
    project["name"] = json!("renamed");
    let mut endpoint = endpoint("idle");
    endpoint["disabled"] = json!(true);
    script.on("getProject").reply(200, json!({"project": project}));
    script.on("getBranch").reply(200, json!({"branch": branch("ready")}));
    script.on("listBranchEndpoints").reply(200, json!({"endpoints": [endpoint]}));
    script.on("getDatabase").reply(404, error("database not found for branch"));
    script.on("getRole").reply(
        404,
        error("role not found for branch; role_name:\"neondb_owner\", branch_id:\"br-1\""),
    );
    let run = script.run(|| Neon::read(service(json!({})), recorded(json!({}))));
    let attributes = run.result.expect("read").expect("there").attributes;
    assert_eq!(attributes.project_name, "renamed");
    assert!(attributes.endpoint_disabled);
    assert_eq!((attributes.database, attributes.role), (None, None));
    assert_eq!(run.waited_ms, 0, "a drift check does not wait for what is gone");
}

#[test]
fn a_project_without_stored_passwords_is_not_asked_twice() {
    let mut script = script(Phase::Read);
    sees_all_well(&mut script);
    script.on("getConnectionUri").reply(412, error("passwords are not stored"));
    let read = script.run(|| Neon::read(service(json!({})), recorded(json!({})))).result;
    assert_eq!(read.expect("read"), Some(recorded(json!({}))));
}

#[test]
fn a_missing_branch_is_seen_without_asking_for_its_parts() {
    let mut script = script(Phase::Read);
    script.on("getProject").reply(200, json!({"project": project()}));
    script.on("getBranch").reply(404, error("branch not found"));
    let run = script.run(|| Neon::read(service(json!({})), recorded(json!({}))));
    let attributes = run.result.expect("read").expect("there").attributes;
    assert_eq!((attributes.branch, attributes.host, attributes.database), (None, None, None));
}

#[test]
fn a_deleted_project_is_gone_and_the_log_says_until_when_it_can_be_recovered() {
    let mut script = script(Phase::Read);
    script.on("getProject").reply(404, error("project not found"));
    script.on("listProjects").param("recoverable", true).param("org_id", ORG).reply(
        200,
        json!({"projects": [{
            "id": PROJECT, "name": "my-app", "deleted_at": "2026-08-01T10:00:00Z",
            "recoverable_until": "2026-08-08T10:00:00Z",
        }]}),
    );
    let run = script.run(|| Neon::read(service(json!({})), recorded(json!({}))));
    assert_eq!(run.result, Ok(None));
    assert_eq!(
        run.logs,
        [
            "the Neon project quiet-mountain-1234 was deleted at 2026-08-01T10:00:00Z and can be recovered until 2026-08-08T10:00:00Z"
        ]
    );
}

#[test]
fn a_key_of_another_project_or_account_does_not_make_it_gone() {
    let scoped = "not allowed to perform actions outside the project this key is scoped to; subject_project_id:\"proj\"";
    let mut by_scope = script(Phase::Read);
    by_scope.on("getProject").reply(404, error(scoped));
    let run = by_scope.run(|| Neon::read(service(json!({})), recorded(json!({}))));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized);

    let mut by_account = script(Phase::Read);
    by_account.on("getProject").reply(404, error("project not found"));
    by_account.on("listProjects").param("org_id", ORG).reply(404, error("organization not found"));
    let failure =
        by_account.run(|| Neon::read(service(json!({})), recorded(json!({})))).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    assert!(failure.message.contains(ORG), "{failure}");
}
