//! Finding what an earlier run made, and never making a second one or an empty one beside the user's data.

use serde_json::{Value, json};
use ss_plugin_neon::Neon;
use starsystem_provisioner::testing::{MARK, Phase, Script};
use starsystem_provisioner::{CallErrorKind, FailureKind, Provisioner};

use crate::fixtures::*;

fn lists(script: &mut Script, projects: Value) {
    script.on("listProjects").no_param("recoverable").reply(200, json!({"projects": projects}));
}

fn finds_ours(script: &mut Script) {
    lists(script, json!([listed(PROJECT, "my-app")]));
    script.on("listBranches").param("project_id", PROJECT).reply(200, annotated(MARK));
}

#[test]
fn adopts_the_project_that_carries_the_mark_and_waits_until_it_is_ready() {
    let mut script = script(Phase::Create);
    finds_ours(&mut script);
    sees(&mut script, project(), branch("init"), endpoint("init"));
    script.on("listOperations").reply(
        200,
        json!({"operations": [
            operation("op-2", "start_compute", "running"),
            operation("op-1", "create_timeline", "finished"),
            operation("op-0", "check_availability", "error"),
        ]}),
    );
    script
        .on("getOperation")
        .param("operation_id", "op-2")
        .reply(200, json!({"operation": operation("op-2", "start_compute", "finished")}));
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), None));

    let outcome = run.result.expect("adopted");
    assert_eq!(outcome.summary, "project found, 2 outputs");
    assert_eq!(outcome.made, recorded(json!({})));
    assert_eq!(run.steps, ["Project found: my-app-quiet-mountain-1234 (made by an earlier run)"]);
}

#[test]
fn brings_an_adopted_project_in_line_while_creating() {
    let mut script = script(Phase::Create);
    finds_ours(&mut script);
    sees_all_well(&mut script);
    script
        .on("updateProject")
        .body("/project/history_retention_seconds", 3600)
        .reply(200, json!({"project": project(), "operations": []}));
    let mut changed = project();
    changed["history_retention_seconds"] = json!(3600);
    sees(&mut script, changed, branch("ready"), endpoint("idle"));
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({"history_retention_seconds": 3600})), None));
    assert!(run.result.is_ok());
}

#[test]
fn a_lost_answer_makes_it_look_several_times_and_adopt() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").lost();
    lists(&mut script, json!([]));
    lists(&mut script, json!([]));
    finds_ours(&mut script);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert!(run.result.is_ok());
    assert_eq!(run.waited_ms, 500 + 1_000 + 2_000);
}

#[test]
fn a_broken_gateway_is_a_lost_answer_too() {
    for status in [500, 502, 504, 524] {
        let mut script = script(Phase::Create);
        finds_nothing(&mut script);
        script.on("createProject").reply_text(status, "<html>CloudFlare error page</html>");
        finds_ours(&mut script);
        sees_all_well(&mut script);
        gets_urls(&mut script);
        let run = script.run(|| Neon::apply(service(json!({})), None));
        assert!(run.result.is_ok(), "{status}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_a_lost_answer_too() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").reply_text(201, "<html>");
    finds_ours(&mut script);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    assert!(script.run(|| Neon::apply(service(json!({})), None)).result.is_ok());
}

#[test]
fn creates_again_only_what_is_surely_absent() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script.on("createProject").lost();
    for _ in 0..5 {
        lists(&mut script, json!([]));
    }
    script.on("listProjects").param("recoverable", true).reply(200, json!({"projects": []}));
    script.on("createProject").reply(201, created());
    waits_for_create(&mut script);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert!(run.result.is_ok());
    assert_eq!(run.calls.iter().filter(|call| *call == "createProject").count(), 2);
}

#[test]
fn a_request_that_never_left_is_not_looked_for() {
    let mut script = script(Phase::Create);
    finds_nothing(&mut script);
    script
        .on("createProject")
        .fails(CallErrorKind::Unreachable, "console.neon.tech does not answer");
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unavailable);
}

#[test]
fn a_namesake_without_the_mark_is_left_alone() {
    let mut script = script(Phase::Create);
    lists(
        &mut script,
        json!([
            listed("other-1", "my-app"),
            listed("other-2", "my-app-staging"),
            listed("other-3", "my-app"),
        ]),
    );
    script.on("listBranches").param("project_id", "other-1").reply(200, annotated("ss-other"));
    script
        .on("listBranches")
        .param("project_id", "other-3")
        .reply(200, json!({"branches": [branch("ready")], "annotations": {}}));
    script.on("listProjects").param("recoverable", true).reply(200, json!({"projects": []}));
    script.on("createProject").reply(201, created());
    waits_for_create(&mut script);
    sees_all_well(&mut script);
    gets_urls(&mut script);
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert!(run.result.is_ok());
    assert!(
        run.logs.contains(&"other-1 is named `my-app` too and is not this service's".to_owned())
    );
}

#[test]
fn reads_all_pages_of_projects_and_branches() {
    let strangers: Vec<Value> = (0..400).map(|n| listed(&format!("p-{n}"), "my-app-x")).collect();
    let branches: Vec<Value> = (0..100).map(|_| branch("ready")).collect();
    let mut script = script(Phase::Create);
    script
        .on("listProjects")
        .no_param("cursor")
        .reply(200, json!({"projects": strangers, "pagination": {"cursor": "page-2"}}));
    script.on("listProjects").param("cursor", "page-2").reply(
        200,
        json!({"projects": [listed(PROJECT, "my-app")], "pagination": {"cursor": "page-3"}}),
    );
    script.on("listBranches").no_param("cursor").reply(
        200,
        json!({"branches": branches, "annotations": {}, "pagination": {"next": "b-2"}}),
    );
    script.on("listBranches").param("cursor", "b-2").reply(200, annotated(MARK));
    sees_all_well(&mut script);
    gets_urls(&mut script);
    assert!(script.run(|| Neon::apply(service(json!({})), None)).result.is_ok());
}

#[test]
fn a_cursor_that_does_not_move_ends_the_list() {
    let full: Vec<Value> = (0..400).map(|n| listed(&format!("p-{n}"), "my-app-x")).collect();
    let page = json!({"projects": full, "pagination": {"cursor": "same"}});
    let mut script = script(Phase::Create);
    script.on("listProjects").no_param("cursor").reply(200, page.clone());
    script.on("listProjects").param("cursor", "same").reply(200, page);
    script
        .on("listProjects")
        .param("recoverable", true)
        .reply(401, error("supplied credentials do not pass authentication"));
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized);
}

#[test]
fn an_incomplete_list_decides_nothing() {
    let mut script = script(Phase::Create);
    script
        .on("listProjects")
        .reply(200, json!({"projects": [], "unavailable_project_ids": ["dark-cell-1"]}));
    let failure = script.run(|| Neon::apply(service(json!({})), None)).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("dark-cell-1"), "{failure}");
}

#[test]
fn two_projects_with_the_mark_stop_it_and_both_are_named() {
    let mut script = script(Phase::Create);
    lists(&mut script, json!([listed("one-1", "my-app"), listed("two-2", "my-app")]));
    script.on("listBranches").param("project_id", "one-1").reply(200, annotated(MARK));
    script.on("listBranches").param("project_id", "two-2").reply(200, annotated(MARK));
    let failure = script.run(|| Neon::apply(service(json!({})), None)).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.contains("one-1 and two-2"), "{failure}");
}

fn deleted() -> Value {
    let mut listed = listed("old-1", "my-app");
    listed["deleted_at"] = json!("2026-08-01T10:00:00Z");
    listed["recoverable_until"] = json!("2026-08-08T10:00:00Z");
    json!({"projects": [listed]})
}

#[test]
fn a_deleted_project_that_can_be_recovered_stops_it() {
    for branches in [(404, error("project not found")), (200, annotated(MARK))] {
        let mut script = script(Phase::Create);
        lists(&mut script, json!([]));
        script.on("listProjects").param("recoverable", true).reply(200, deleted());
        script.on("listBranches").param("project_id", "old-1").reply(branches.0, branches.1);
        let failure = script.run(|| Neon::apply(service(json!({})), None)).result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Declined);
        for part in
            ["(old-1)", "until 2026-08-08T10:00:00Z", "Recover it", "`ignore_deleted: true`"]
        {
            assert!(failure.message.contains(part), "{failure}");
        }
    }
}

#[test]
fn somebody_elses_deleted_project_does_not_stop_it() {
    let mut script = script(Phase::Create);
    lists(&mut script, json!([]));
    script.on("listProjects").param("recoverable", true).reply(200, deleted());
    script.on("listBranches").reply(200, annotated("ss-other"));
    script.on("createProject").reply(401, error("supplied credentials do not pass authentication"));
    let failure = script.run(|| Neon::apply(service(json!({})), None)).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
}

#[test]
fn the_user_may_pass_over_deleted_projects() {
    let mut script = script(Phase::Create);
    lists(&mut script, json!([]));
    script.on("createProject").reply(401, error("supplied credentials do not pass authentication"));
    let run = script.run(|| Neon::apply(service(json!({"ignore_deleted": true})), None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized);
}

#[test]
fn an_account_without_recovery_can_still_create() {
    let mut script = script(Phase::Create);
    lists(&mut script, json!([]));
    script.on("listProjects").param("recoverable", true).reply(400, error("unknown parameter"));
    script.on("createProject").reply(401, error("supplied credentials do not pass authentication"));
    let run = script.run(|| Neon::apply(service(json!({})), None));
    assert_eq!(run.result.unwrap_err().kind, FailureKind::Unauthorized);
}
