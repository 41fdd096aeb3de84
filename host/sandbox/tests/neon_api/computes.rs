//! N17, N18: computes.

use serde_json::{Value, json};

use super::common::Test;

#[tokio::test]
async fn n17_one_read_write_endpoint_per_branch() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let path = format!("{}/endpoints", project.path);
    let body = |kind: &str| json!({"endpoint": {"branch_id": project.branch_id, "type": kind}});
    let refused = test.post(&path, body("read_write")).await.ok(409);
    assert!(refused.text("/message").starts_with("read_write endpoint already exists"));
    let reader = test.post(&path, body("read_only")).await.ok(201);
    assert_eq!(reader.each("operations", "action"), ["start_compute"]);
    test.finish(&project.id).await;
    test.post(&path, body("read_only")).await.ok(201);
    test.finish(&project.id).await;
    assert_eq!(test.get(&path).await.ok(200).each("endpoints", "type").len(), 3);
    test.post(&path, json!({"endpoint": {"type": "read_only"}})).await.ok(400);
    test.post(&path, json!({"endpoint": {"branch_id": "br-x-1", "type": "read_only"}}))
        .await
        .ok(404);
    test.stop().await;
}

#[tokio::test]
async fn n17_start_suspend_and_restart_are_operations() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let state = async || test.get(&project.endpoint).await.text("/endpoint/current_state");
    let act = async |what: &str| {
        let done = test.post(&format!("{}/{what}", project.endpoint), Value::Null).await.ok(200);
        test.finish(&project.id).await;
        done.each("operations", "action")
    };
    assert_eq!(act("start").await, [""; 0]);
    assert_eq!(act("suspend").await, ["suspend_compute"]);
    assert_eq!(state().await, "idle");
    assert_eq!(act("suspend").await, [""; 0]);
    assert_eq!(act("start").await, ["start_compute"]);
    assert_eq!(state().await, "active");
    assert_eq!(act("restart").await, ["suspend_compute", "start_compute"]);
    assert_eq!(state().await, "active");
    test.stop().await;
}

#[tokio::test]
async fn n17_idle_after_the_suspend_timeout_by_the_clock() {
    let test = Test::start().await;
    let sleepy = test.project(json!({})).await;
    let awake = json!({"default_endpoint_settings": {"suspend_timeout_seconds": -1}});
    let awake = test.project(awake).await;
    let state = async |path: &str| test.get(path).await.text("/endpoint/current_state");
    // 0 means the default of five minutes.
    test.advance(290_000).await;
    assert_eq!(state(&sleepy.endpoint).await, "active");
    test.advance(10_000).await;
    test.finish(&sleepy.id).await;
    assert_eq!(state(&sleepy.endpoint).await, "idle");
    assert_eq!(state(&awake.endpoint).await, "active");
    let listed = test.get(&format!("{}/operations", sleepy.path)).await.ok(200);
    assert_eq!(listed.text("/operations/0/action"), "suspend_compute");
    test.stop().await;
}

#[tokio::test]
async fn n17_deleting_a_compute_leaves_the_branch() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let deleted = test.delete(&project.endpoint).await.ok(200);
    assert_eq!(deleted.each("operations", "action"), ["suspend_compute"]);
    test.finish(&project.id).await;
    test.get(&project.endpoint).await.ok(404);
    test.delete(&project.endpoint).await.ok(204);
    test.get(&project.branch).await.ok(200);
    let body = json!({"endpoint": {"branch_id": project.branch_id, "type": "read_write"}});
    test.post(&format!("{}/endpoints", project.path), body).await.ok(201);
    test.stop().await;
}

#[tokio::test]
async fn n17_a_disabled_compute_is_suspended_and_does_not_start() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let disable = json!({"endpoint": {"disabled": true}});
    let changed = test.patch(&project.endpoint, disable).await.ok(200);
    assert_eq!(changed.each("operations", "action"), ["apply_config", "suspend_compute"]);
    test.finish(&project.id).await;
    assert_eq!(test.get(&project.endpoint).await.text("/endpoint/current_state"), "idle");
    test.post(&format!("{}/start", project.endpoint), Value::Null).await.ok(422);
    test.stop().await;
}

#[tokio::test]
async fn n18_limits_of_a_compute() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let wrong = [
        json!({"suspend_timeout_seconds": -2}),
        json!({"suspend_timeout_seconds": 604_801}),
        json!({"suspend_timeout_seconds": 59}),
        json!({"autoscaling_limit_min_cu": 0.1}),
        json!({"autoscaling_limit_max_cu": 0.2}),
        json!({"autoscaling_limit_min_cu": 4, "autoscaling_limit_max_cu": 2}),
    ];
    for fields in wrong {
        test.patch(&project.endpoint, json!({"endpoint": fields})).await.ok(400);
        let mut create = fields.clone();
        create["branch_id"] = json!(project.branch_id);
        create["type"] = json!("read_only");
        test.post(&format!("{}/endpoints", project.path), json!({"endpoint": create}))
            .await
            .ok(400);
        let defaults = json!({"project": {"default_endpoint_settings": fields}});
        test.post("/projects", defaults.clone()).await.ok(400);
        test.patch(&project.path, defaults).await.ok(400);
    }
    for seconds in [-1, 0, 60, 604_800] {
        let fields = json!({"endpoint": {"suspend_timeout_seconds": seconds}});
        let changed = test.patch(&project.endpoint, fields).await.ok(200);
        assert_eq!(changed.body["endpoint"]["suspend_timeout_seconds"], seconds);
        test.finish(&project.id).await;
    }
    test.stop().await;
}

#[tokio::test]
async fn n18_settings_without_pg_settings_must_not_be_nil() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let text = "settings must not be nil";
    let patch = |settings: Value| json!({"endpoint": {"settings": settings}});
    test.patch(&project.endpoint, patch(json!({}))).await.refused(400, "", text);
    let create = json!({"endpoint":
        {"branch_id": project.branch_id, "type": "read_only", "settings": {}}});
    test.post(&format!("{}/endpoints", project.path), create).await.refused(400, "", text);
    test.patch(&project.endpoint, patch(json!({"pg_settings": {}}))).await.ok(200);
    test.stop().await;
}
