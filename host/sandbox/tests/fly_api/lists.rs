//! F12, F13: lists and metadata.

use serde_json::{Value, json};

use crate::support::{World, service, variable};

fn made(image: &str, region: &str, metadata: Value) -> Value {
    json!({ "region": region, "skip_launch": true, "config": { "image": image, "metadata": metadata } })
}

async fn ids(world: &World, query: &str) -> Vec<String> {
    let body = world.get(&format!("/apps/a/machines{query}")).await.is(200).body;
    body.as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn f12_filters_must_all_match() {
    let world = World::new().await;
    world.app("a").await;
    let web =
        world.machine("a", made("api:v1", "iad", json!({ "stack": "s", "role": "web" }))).await;
    let job =
        world.machine("a", made("api:v1", "ord", json!({ "stack": "s", "role": "job" }))).await;
    let (web, job) = (web.rsplit('/').next().unwrap(), job.rsplit('/').next().unwrap());
    assert_eq!(ids(&world, "").await.len(), 2);
    assert_eq!(ids(&world, "?metadata.stack=s").await.len(), 2);
    assert_eq!(ids(&world, "?metadata.stack=s&metadata.role=web").await, [web]);
    assert_eq!(ids(&world, "?metadata.stack=s&metadata.role=none").await.len(), 0);
    assert_eq!(ids(&world, "?region=ord").await, [job]);
    assert_eq!(ids(&world, "?state=started,created").await.len(), 2);
    assert_eq!(ids(&world, "?state=started").await.len(), 0);
    let summary = world.get("/apps/a/machines?summary=true").await.body;
    assert!(summary[0]["config"].is_null() && summary[0]["events"].is_null());
    assert!(summary[0]["version"].is_string());
    let org = world.get("/orgs/personal/machines").await.is(200).body;
    assert_eq!(org["machines"].as_array().unwrap().len(), 2);
    world.close().await;
}

#[tokio::test]
async fn f12_pages_follow_the_header_and_may_be_empty_with_more_to_come() {
    let world = World::new().await;
    world.app("a").await;
    for _ in 0..5 {
        world.machine("a", made("api:v1", "iad", json!({}))).await;
    }
    world.set(json!({ "empty_pages": true }));
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let query = format!("/apps/a/machines?limit=2{cursor}");
        let reply = world.get(&query).await.is(200);
        let page = reply.body.as_array().unwrap();
        sizes.push(page.len());
        seen.extend(page.iter().map(|machine| machine["id"].to_string()));
        match reply.headers.get("fly-next-cursor") {
            Some(next) => cursor = format!("&cursor={}", next.to_str().unwrap()),
            None => break,
        }
    }
    assert_eq!(sizes, [0, 2, 2, 1]);
    seen.dedup();
    assert_eq!(seen.len(), 5);
    world.get("/apps/a/machines?limit=1001").await.is(400);
    world.get("/apps/a/machines?cursor=x").await.is(400);
    world.close().await;
}

#[tokio::test]
async fn f12_a_list_may_lag() {
    let world = World::standing().await;
    world.app("a").await;
    world.set(json!({ "list_lag_ms": 2_000 }));
    let path = world.machine("a", made("api:v1", "iad", json!({}))).await;
    assert_eq!(ids(&world, "").await.len(), 0);
    world.get(&path).await.is(200);
    world.clock.advance(2_000);
    assert_eq!(ids(&world, "").await.len(), 1);
    world.close().await;
}

#[tokio::test]
async fn f13_patch_merges_and_removes() {
    let world = World::new().await;
    world.app("a").await;
    let path =
        world.machine("a", made("api:v1", "iad", json!({ "a": "1", "b": "2", "c": "3" }))).await;
    let metadata = format!("{path}/metadata");
    let patch = async |method: &str, body: Value| {
        world.send(method, &format!("/fly/v1{metadata}"), &body, &[]).await
    };
    patch("PATCH", json!({ "metadata": { "a": null, "b": "", "d": "4" } })).await.is(204);
    assert_eq!(world.get(&metadata).await.is(200).body, json!({ "c": "3", "d": "4" }));
    patch("PUT", json!({ "metadata": { "e": "5" } })).await.is(204);
    patch("PATCH", json!({ "metadata": { "e": 5 } })).await.is(400);
    let stale =
        json!({ "metadata": { "x": "y" }, "machine_version": "01AAAAAAAAAAAAAAAAAAAAAAAA" });
    patch("PATCH", stale).await.is(412);
    let version = world.get(&path).await.str("version");
    patch("PATCH", json!({ "metadata": { "f": "6" }, "machine_version": version })).await.is(204);
    let wanted = json!({ "c": "3", "d": "4", "e": "5", "f": "6" });
    assert_eq!(world.get(&metadata).await.body, wanted);
    assert_eq!(world.get(&path).await.body["config"]["metadata"], wanted);
    world.close().await;
}

#[tokio::test]
async fn f13_key_endpoints() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.machine("a", made("api:v1", "iad", json!({}))).await;
    let key = format!("{path}/metadata/role");
    world.get(&key).await.is(404);
    world.post(&key, json!({ "value": "web" })).await.is(204);
    assert_eq!(world.get(&key).await.is(200).body, json!({ "value": "web" }));
    world.delete(&key).await.is(204);
    world.delete(&key).await.is(204);
    world.get(&key).await.is(404);
    world.close().await;
}

#[tokio::test]
async fn f13_metadata_does_not_touch_process_or_version() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("api:v1")).await;
    let port = variable(&world, "a", "PORT").await;
    let version = world.get(&path).await.str("version");
    world.post(&format!("{path}/metadata/k"), json!({ "value": "v" })).await.is(204);
    assert_eq!(variable(&world, "a", "PORT").await, port);
    assert_eq!(world.get(&path).await.str("version"), version);
    world.close().await;
}
