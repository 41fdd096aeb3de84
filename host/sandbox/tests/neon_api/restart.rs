//! C4: what survives a restart, and what a reset leaves.

use serde_json::{Value, json};

use super::common::{Project, Test};

#[tokio::test]
async fn c04_state_and_time_survive_a_restart() {
    let test = Test::start().await;
    test.settings(json!({"projects_max": 7})).await;
    let project = test.project(json!({"name": "kept"})).await;
    test.advance(3_600_000).await;
    let before = test.control("GET", "/clock", Value::Null).await.body["now_ms"].as_i64();
    let test = test.restart().await;
    assert_eq!(test.get(&project.path).await.ok(200).text("/project/name"), "kept");
    let revealed =
        test.get(&format!("{}/roles/neondb_owner/reveal_password", project.branch)).await;
    assert_eq!(revealed.ok(200).text("/password"), project.password);
    let settings = test.control("GET", "/settings", Value::Null).await.body;
    assert_eq!(settings["neon"]["projects_max"], 7);
    let after = test.control("GET", "/clock", Value::Null).await.body["now_ms"].as_i64();
    assert!(after >= before, "{after:?} is before {before:?}");
    // Passwords of an earlier run are known to the journal of this one.
    test.get(&format!("/projects?search={}", project.password)).await.ok(200);
    assert!(!serde_json::to_string(&test.journal().await).unwrap().contains(&project.password));
    test.stop().await;
}

#[tokio::test]
async fn c04_operations_go_on_after_a_restart() {
    let test = Test::start().await;
    let project = Project::of(&test.new_project(json!({})).await);
    test.advance(200).await;
    let test = test.restart().await;
    test.finish(&project.id).await;
    let listed = test.get(&format!("{}/operations", project.path)).await.ok(200);
    assert_eq!(listed.each("operations", "status"), ["finished", "finished"]);
    assert_eq!(test.get(&project.endpoint).await.text("/endpoint/current_state"), "active");
    test.stop().await;
}

#[tokio::test]
async fn c04_a_reset_leaves_nothing() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    test.settings(json!({"projects_max": 7})).await;
    test.fault(json!({"route": "* /neon/{*}", "skip": 9, "fault": "cut_before"})).await;
    test.control("POST", "/reset", Value::Null).await.ok(204);
    test.get(&project.path).await.ok(404);
    assert_eq!(test.get("/projects").await.ok(200).body["projects"], json!([]));
    assert_eq!(test.control("GET", "/faults", Value::Null).await.body["faults"], json!([]));
    let settings = test.control("GET", "/settings", Value::Null).await.body;
    assert_eq!(settings["neon"]["projects_max"], 100);
    assert_eq!(test.journal().await.len(), 2);
    test.project(json!({})).await;
    test.stop().await;
}
