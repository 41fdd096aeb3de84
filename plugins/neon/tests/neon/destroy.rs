//! Removing a project.

use serde_json::json;
use ss_plugin_neon::Neon;
use starsystem_provisioner::testing::{Phase, Script};
use starsystem_provisioner::{FailureKind, Provisioner};

use crate::fixtures::*;

fn renames(script: &mut Script) {
    script
        .on("updateProject")
        .body("", json!({"project": {"name": "my-app (destroyed by ss)"}}))
        .reply(200, json!({"project": project(), "operations": []}));
}

#[test]
fn marks_it_as_destroyed_deletes_it_and_waits_until_it_is_gone() {
    let mut script = script(Phase::Destroy);
    renames(&mut script);
    script
        .on("deleteProject")
        .param("project_id", PROJECT)
        .reply(200, json!({"project": project()}));
    script.on("getProject").reply(200, json!({"project": project()}));
    script.on("getProject").reply(404, error("project not found"));
    let run = script.run(|| Neon::destroy(recorded(json!({}))));
    assert_eq!(run.result, Ok(()));
    assert_eq!(run.waited_ms, 1_000);
    assert_eq!(
        run.steps,
        ["Project deleted: my-app-quiet-mountain-1234 (Neon can recover it for 7 days)"]
    );
}

#[test]
fn one_that_is_gone_is_a_success() {
    let mut script = script(Phase::Destroy);
    script.on("updateProject").reply(404, error("project not found"));
    script.on("deleteProject").reply(404, error("project not found"));
    script.on("listProjects").param("org_id", ORG).reply(200, json!({"projects": []}));
    assert_eq!(script.run(|| Neon::destroy(recorded(json!({})))).result, Ok(()));
}

#[test]
fn one_that_the_key_cannot_see_is_not() {
    for (status, message) in [
        (404, "organization not found"),
        (
            404,
            "not allowed to perform actions outside the project this key is scoped to; subject_project_id:\"p\"",
        ),
        (401, "supplied credentials do not pass authentication"),
    ] {
        let mut script = script(Phase::Destroy);
        script.on("updateProject").reply(404, error("project not found"));
        script.on("deleteProject").reply(404, error("project not found"));
        script.on("listProjects").reply(status, error(message));
        let run = script.run(|| Neon::destroy(recorded(json!({}))));
        assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized, "{message}");
    }
}

#[test]
fn a_name_that_cannot_be_changed_does_not_stop_it() {
    let mut script = script(Phase::Destroy);
    script.on("updateProject").reply(400, error("name is too long"));
    script.on("deleteProject").reply(200, json!({"project": project()}));
    script.on("getProject").reply(404, error("project not found"));
    let run = script.run(|| Neon::destroy(recorded(json!({}))));
    assert_eq!(run.result, Ok(()));
    assert_eq!(run.logs, ["could not rename the project: name is too long (status 400)"]);
}

#[test]
fn a_busy_project_is_left_for_later() {
    let busy =
        "project already has running conflicting operations, scheduling of new ones is prohibited";
    let mut script = script(Phase::Destroy);
    renames(&mut script);
    script.on("deleteProject").reply(423, error(busy));
    let failure = script.run(|| Neon::destroy(recorded(json!({})))).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
}
