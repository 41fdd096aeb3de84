//! F7 and F14's half about machines: new configurations.

use serde_json::{Value, json};

use crate::support::{World, plain, service, variable};

#[tokio::test]
async fn f07_an_update_replaces_the_whole_configuration_and_the_process() {
    let world = World::new().await;
    world.app("a").await;
    let mut body = service("api:v1");
    body["config"]["env"] = json!({ "KEPT": "no" });
    let path = world.started("a", body).await;
    assert_eq!(variable(&world, "a", "KEPT").await.as_deref(), Some("no"));
    let before = world.get(&path).await.str("version");
    let reply = world.post(&path, service("api:v2")).await.is(200);
    let version = reply.str("version");
    assert!(version != before && reply.str("state") == "replacing");
    world.get(&format!("{path}/wait?state=started&version={version}&timeout=60")).await.is(200);
    assert_eq!(variable(&world, "a", "KEPT").await, None);
    assert!(world.visit_up("a", "/who").await.text.ends_with("v2"));
    assert!(world.get(&path).await.body["config"]["env"].is_null());
    let versions = world.get(&format!("{path}/versions")).await.is(200).body;
    assert_eq!(versions[1]["version"], before.as_str());
    assert_eq!(versions[1]["user_config"]["env"]["KEPT"], "no");
    let old = world.get(&format!("{path}?version={before}")).await.is(200);
    assert_eq!(old.body["config"]["image"], "api:v1");
    world.close().await;
}

#[tokio::test]
async fn f07_a_stopped_machine_is_changed_and_stays_stopped() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("api:v1")).await;
    world.post(&format!("{path}/stop"), json!({})).await.is(200);
    world.reach(&path, "stopped").await;
    let reply = world.post(&path, service("api:v2")).await.is(200);
    assert_eq!(reply.str("state"), "stopped");
    world.post(&format!("{path}/start"), Value::Null).await.is(200);
    assert!(world.visit_up("a", "/who").await.text.ends_with("v2"));
    let mut body = service("api:v1");
    body["skip_launch"] = json!(true);
    world.post(&path, body).await.is(200);
    world.reach(&path, "stopped").await;
    world.close().await;
}

#[tokio::test]
async fn f07_start_while_replacing_or_starting_is_412() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 1_000 }));
    world.app("a").await;
    let path = world.machine("a", plain("api:v1")).await;
    let text = "failed_precondition: machine still attempting to start";
    world.post(&format!("{path}/start"), Value::Null).await.says(412, text);
    world.passing(500, world.reach(&path, "started")).await;
    world.set(json!({ "boot_ms": 1_000 }));
    world.post(&path, plain("api:v2")).await.is(200);
    let text = "failed_precondition: machine getting replaced, refusing to start";
    world.post(&format!("{path}/start"), Value::Null).await.says(412, text);
    world.close().await;
}

#[tokio::test]
async fn f07_a_stale_current_version_changes_nothing() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let version = world.get(&path).await.str("version");
    let mut body = plain("api:v2");
    body["current_version"] = json!(version);
    let newer = world.post(&path, body.clone()).await.is(200).str("version");
    let text = "aborted: machine update failed due to concurrent update";
    world.post(&path, body).await.says(409, text);
    assert_eq!(world.get(&path).await.str("version"), newer);
    world.close().await;
}

#[tokio::test]
async fn f07_name_region_and_volume_cannot_be_changed() {
    let world = World::new().await;
    world.app("a").await;
    let path = world
        .started("a", json!({ "name": "web", "region": "iad", "config": { "image": "api:v1" } }))
        .await;
    let update = async |field: &str, value: &str| {
        let mut body = plain("api:v1");
        body[field] = json!(value);
        world.post(&path, body).await
    };
    update("name", "other").await.is(400);
    update("region", "ord").await.is(400);
    update("name", "web").await.is(200);
    let volume = world.post("/apps/a/volumes", json!({ "name": "data" })).await.is(200).str("id");
    let mounts = json!([{ "volume": volume, "path": "/data" }]);
    world.post(&path, json!({ "config": { "image": "api:v1", "mounts": mounts } })).await.is(400);
    world.close().await;
}

#[tokio::test]
async fn f14_secrets_reach_a_machine_at_create_and_update_and_not_at_a_restart() {
    let world = World::new().await;
    world.app("a").await;
    let set = async |value: &str| {
        let body = json!({ "values": { "DATABASE_URL": value } });
        world.post("/apps/a/secrets", body).await.is(200).body["version"].clone()
    };
    set("one").await;
    let mut body = service("api:v1");
    body["config"]["env"] = json!({ "DATABASE_URL": "from env" });
    let path = world.started("a", body).await;
    assert_eq!(variable(&world, "a", "DATABASE_URL").await.as_deref(), Some("one"));
    let version = set("two").await;
    let before = world.visit_up("a", "/env").await.text;
    world.post(&format!("{path}/restart"), Value::Null).await.is(200);
    world.until(&path, |machine| machine["events"][0]["type"] == "start").await;
    assert_eq!(variable(&world, "a", "DATABASE_URL").await.as_deref(), Some("one"));
    assert_ne!(
        world.visit_up("a", "/env").await.text,
        before,
        "it has another port, so it did restart"
    );
    let mut body = service("api:v1");
    body["min_secrets_version"] = version;
    let version = world.post(&path, body).await.is(200).str("version");
    world.get(&format!("{path}/wait?version={version}&timeout=60")).await.is(200);
    assert_eq!(variable(&world, "a", "DATABASE_URL").await.as_deref(), Some("two"));
    world.close().await;
}

#[tokio::test]
async fn f14_min_secrets_version_waits_for_the_version_and_then_fails() {
    let world = World::new().await;
    world.app("a").await;
    world.set(json!({ "min_secrets_wait_ms": 60_000 }));
    let mut body = plain("api:v1");
    body["min_secrets_version"] = json!(1);
    let creating = world.post("/apps/a/machines", body.clone());
    let setting = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        world.post("/apps/a/secrets/KEY", json!({ "value": "v" })).await.is(201)
    };
    let (created, _) = tokio::join!(creating, setting);
    created.is(200);
    world.set(json!({ "min_secrets_wait_ms": 0 }));
    body["min_secrets_version"] = json!(7);
    world.post("/apps/a/machines", body).await.is(412);
    world.close().await;
}
