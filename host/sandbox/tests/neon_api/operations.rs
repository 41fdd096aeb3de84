//! C1, N5, N6: operations, the clock, the lock.

use serde_json::json;

use super::common::{Project, Test};

const LOCKED: &str =
    "project already has running conflicting operations, scheduling of new ones is prohibited";

#[tokio::test]
async fn c01_transitions_happen_by_time_and_not_by_polls() {
    let test = Test::start().await;
    let made = test.new_project(json!({})).await;
    let project = Project::of(&made);
    let operations = format!("{}/operations", project.path);
    let statuses = async || test.get(&operations).await.ok(200).each("operations", "status");
    for _ in 0..20 {
        assert_eq!(statuses().await, ["scheduling", "running"]);
    }
    test.advance(149).await;
    assert_eq!(statuses().await, ["scheduling", "running"]);
    test.advance(1).await;
    assert_eq!(statuses().await, ["running", "finished"]);
    test.advance(249).await;
    assert_eq!(statuses().await, ["running", "finished"]);
    test.advance(1).await;
    assert_eq!(statuses().await, ["finished", "finished"]);
    test.stop().await;
}

#[tokio::test]
async fn c01_a_fast_clock_moves_by_itself() {
    let test = Test::start_with(|options| options.speed = 1_000.0).await;
    let made = test.new_project(json!({})).await;
    let path = format!("/projects/{}/operations", made.text("/project/id"));
    let mut last = Vec::new();
    // A bound on tries, not on time: 400 ms of sandbox time are less than one real millisecond.
    for _ in 0..500 {
        last = test.get(&path).await.ok(200).each("operations", "status");
        if last == ["finished", "finished"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(last, ["finished", "finished"]);
    test.stop().await;
}

#[tokio::test]
async fn n05_scheduling_running_finished_and_read_one_by_one() {
    let test = Test::start().await;
    test.settings(json!({"durations_ms": {"scheduling": 50}})).await;
    let made = test.new_project(json!({})).await;
    let project = Project::of(&made);
    assert_eq!(made.each("operations", "action"), ["create_timeline", "start_compute"]);
    let path = format!("{}/operations/{}", project.path, made.text("/operations/0/id"));
    let status = async || test.get(&path).await.ok(200).text("/operation/status");
    assert_eq!(status().await, "scheduling");
    test.advance(50).await;
    assert_eq!(status().await, "running");
    test.advance(150).await;
    assert_eq!(status().await, "finished");
    let gone = format!("{}/operations/00000000-0000-4000-8000-000000000000", project.path);
    test.get(&gone).await.ok(404);
    test.stop().await;
}

#[tokio::test]
async fn n05_the_list_goes_on_by_cursor() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    for name in ["a", "b", "c"] {
        test.post(&format!("{}/roles", project.branch), json!({"role": {"name": name}}))
            .await
            .ok(201);
        test.finish(&project.id).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{}/operations?limit=2&cursor={cursor}", project.path);
        let page = test.get(&path).await.ok(200);
        let ids = page.each("operations", "id");
        assert!(ids.len() <= 2);
        if ids.is_empty() {
            break;
        }
        seen.extend(ids);
        cursor = page.text("/pagination/cursor");
    }
    let all = test.get(&format!("{}/operations", project.path)).await.ok(200);
    assert_eq!(seen, all.each("operations", "id"));
    assert_eq!(seen.len(), 5);
    for limit in ["0", "1001", "x"] {
        test.get(&format!("{}/operations?limit={limit}", project.path)).await.ok(400);
    }
    test.stop().await;
}

#[tokio::test]
async fn n05_an_injected_end_leaves_the_work_undone() {
    for end in ["failed", "error", "cancelled"] {
        let test = Test::start().await;
        let route = "POST /neon/api/v2/projects";
        let fault = json!({"operation": end, "action": "create_timeline"});
        test.fault(json!({"route": route, "fault": fault})).await;
        let project = test.project(json!({})).await;
        let listed = test.get(&format!("{}/operations", project.path)).await.ok(200);
        assert_eq!(listed.each("operations", "status"), ["cancelled", end]);
        assert_eq!(listed.body["operations"][1]["failures_count"], 1);
        assert!(listed.body["operations"][1]["error"].is_string());
        // Nothing runs any more, so it is the branch that answers now.
        let role = json!({"role": {"name": "a"}});
        let refused = test.post(&format!("{}/roles", project.branch), role).await;
        refused.refused(422, "", "branch not ready yet");
        assert_eq!(test.get(&project.branch).await.ok(200).text("/branch/current_state"), "init");
        test.stop().await;
    }
}

#[tokio::test]
async fn n05_skipped_is_a_success() {
    let test = Test::start().await;
    let fault = json!({"operation": "skipped"});
    test.fault(json!({"route": "POST /neon/api/v2/projects", "fault": fault})).await;
    let project = test.project(json!({})).await;
    let listed = test.get(&format!("{}/operations", project.path)).await.ok(200);
    assert_eq!(listed.each("operations", "status"), ["skipped", "finished"]);
    let state = test.get(&project.endpoint).await.ok(200).text("/endpoint/current_state");
    assert_eq!(state, "active");
    test.stop().await;
}

#[tokio::test]
async fn n05_a_failed_operation_with_a_retry_succeeds_later() {
    let test = Test::start().await;
    let fault = json!({"operation": "failed", "retry_after_ms": 5_000});
    test.fault(json!({"route": "POST /neon/api/v2/projects", "fault": fault})).await;
    let made = test.new_project(json!({})).await;
    let project = Project::of(&made);
    let path = format!("{}/operations/{}", project.path, made.text("/operations/1/id"));
    test.advance(400).await;
    let failed = test.get(&path).await.ok(200);
    assert_eq!(failed.text("/operation/status"), "failed");
    assert!(failed.body["operation"]["retry_at"].is_string());
    let update = json!({"project": {"name": "b"}});
    test.patch(&project.path, update.clone()).await.refused(423, "", LOCKED);
    test.advance(5_250).await;
    assert_eq!(test.get(&path).await.ok(200).text("/operation/status"), "finished");
    test.patch(&project.path, update).await.ok(200);
    test.stop().await;
}

#[tokio::test]
async fn n06_mutation_while_operations_run_is_423() {
    let test = Test::start().await;
    let busy = Project::of(&test.new_project(json!({"name": "busy"})).await);
    let mutations = [
        ("PATCH", busy.path.clone(), json!({"project": {"name": "b"}})),
        ("DELETE", busy.path.clone(), json!(null)),
        ("POST", format!("{}/branches", busy.path), json!({})),
        ("PATCH", busy.branch.clone(), json!({"branch": {"name": "b"}})),
        ("DELETE", busy.branch.clone(), json!(null)),
        ("POST", format!("{}/set_as_default", busy.branch), json!(null)),
        ("POST", format!("{}/roles", busy.branch), json!({"role": {"name": "r"}})),
        ("DELETE", format!("{}/roles/neondb_owner", busy.branch), json!(null)),
        ("POST", format!("{}/roles/neondb_owner/reset_password", busy.branch), json!(null)),
        (
            "POST",
            format!("{}/databases", busy.branch),
            json!({"database": {"name": "d", "owner_name": "neondb_owner"}}),
        ),
        ("PATCH", format!("{}/databases/neondb", busy.branch), json!({"database": {"name": "d"}})),
        ("DELETE", format!("{}/databases/neondb", busy.branch), json!(null)),
        (
            "POST",
            format!("{}/endpoints", busy.path),
            json!({"endpoint": {"branch_id": busy.branch_id, "type": "read_only"}}),
        ),
        ("PATCH", busy.endpoint.clone(), json!({"endpoint": {"disabled": true}})),
        ("DELETE", busy.endpoint.clone(), json!(null)),
        ("POST", format!("{}/start", busy.endpoint), json!(null)),
        ("POST", format!("{}/restart", busy.endpoint), json!(null)),
    ];
    for (method, path, body) in mutations {
        test.neon(method, &path, body).await.refused(423, "", LOCKED);
    }
    // Reads pass, another project does not mind, and afterwards all is well.
    test.get(&busy.path).await.ok(200);
    test.get(&format!("{}/roles", busy.branch)).await.ok(200);
    let other = Project::of(&test.new_project(json!({"name": "other"})).await);
    test.finish(&busy.id).await;
    test.patch(&busy.path, json!({"project": {"name": "b"}})).await.ok(200);
    assert_eq!(test.get(&busy.path).await.text("/project/name"), "b");
    assert_eq!(test.get(&other.path).await.text("/project/name"), "other");
    test.stop().await;
}

#[tokio::test]
async fn n06_nothing_that_was_refused_happened() {
    let test = Test::start().await;
    let made = test.new_project(json!({})).await;
    let project = Project::of(&made);
    let roles = format!("{}/roles", project.branch);
    test.post(&roles, json!({"role": {"name": "r"}})).await.refused(423, "", LOCKED);
    test.finish(&project.id).await;
    assert_eq!(test.get(&roles).await.ok(200).each("roles", "name"), ["neondb_owner"]);
    let listed = test.get(&format!("{}/operations", project.path)).await.ok(200);
    assert_eq!(listed.each("operations", "id").len(), 2);
    test.stop().await;
}

#[tokio::test]
async fn n06_suspending_a_starting_compute_says_so() {
    let test = Test::start().await;
    let project = Project::of(&test.new_project(json!({})).await);
    let text = "endpoint is in some transitive state, could not suspend";
    test.post(&format!("{}/suspend", project.endpoint), json!(null)).await.refused(423, "", text);
    test.stop().await;
}
