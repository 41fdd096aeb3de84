//! F25 and the way to an app: who is served by whom, and never by fewer than allowed.

use std::collections::HashSet;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::support::{World, plain, service};

async fn serving(world: &World, app: &str, machines: usize) {
    for _ in 0..1_500 {
        let timeline = world.fly.timeline();
        let last = timeline.as_array().unwrap().iter().rev().find(|entry| entry["app"] == app);
        if last.is_some_and(|entry| entry["serving"] == machines) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {machines} serving: {:#}", world.fly.timeline());
}

#[tokio::test]
async fn f25_the_timeline_shows_that_a_rolling_update_left_one_of_two_serving() {
    let world = World::new().await;
    world.app("a").await;
    let paths =
        [world.started("a", service("api:v1")).await, world.started("a", service("api:v1")).await];
    serving(&world, "a", 2).await;
    let before = world.fly.timeline().as_array().unwrap().len();
    for path in &paths {
        world.post(path, service("api:v2")).await.is(200);
        let healthy = |machine: &Value| {
            machine["state"] == "started" && machine["checks"][0]["status"] == "passing"
        };
        world.until(path, healthy).await;
    }
    let timeline = world.fly.timeline();
    let during: Vec<u64> = timeline.as_array().unwrap()[before..]
        .iter()
        .map(|entry| entry["serving"].as_u64().unwrap())
        .collect();
    assert_eq!(during.iter().min(), Some(&1), "{during:?}");
    assert_eq!(during.last(), Some(&2));
    let times: Vec<i64> =
        timeline.as_array().unwrap().iter().map(|entry| entry["at_ms"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
    world.close().await;
}

#[tokio::test]
async fn f25_the_timeline_shows_a_careless_update_too() {
    let world = World::new().await;
    world.app("a").await;
    let paths =
        [world.started("a", service("api:v1")).await, world.started("a", service("api:v1")).await];
    serving(&world, "a", 2).await;
    let before = world.fly.timeline().as_array().unwrap().len();
    world.post(&format!("{}/cordon", paths[0]), Value::Null).await.is(200);
    world.post(&paths[1], service("api:v2")).await.is(200);
    world.post(&format!("{}/uncordon", paths[0]), Value::Null).await.is(200);
    serving(&world, "a", 2).await;
    let timeline = world.fly.timeline();
    let mut during =
        timeline.as_array().unwrap()[before..].iter().map(|e| e["serving"].as_u64().unwrap());
    assert!(during.any(|serving| serving == 0), "{timeline:#}");
    world.close().await;
}

#[tokio::test]
async fn requests_go_round_the_healthy_machines_with_the_prefix_stripped() {
    let world = World::new().await;
    world.app("a").await;
    for _ in 0..3 {
        world.started("a", service("api:v1")).await;
    }
    serving(&world, "a", 3).await;
    let mut seen = HashSet::new();
    for _ in 0..6 {
        let reply = world.visit("a", "/who").await.is(200);
        assert!(reply.text.starts_with(reply.headers["fly-machine-id"].to_str().unwrap()));
        seen.insert(reply.text);
    }
    assert_eq!(seen.len(), 3);
    let own = [("x-own", "yes"), ("authorization", "Basic x")];
    let reply = world.send("POST", "/app/a/path?q=a%20b", &json!({ "k": "v" }), &own).await.is(200);
    assert!(reply.text.starts_with("POST /path?q=a%20b HTTP/1.1"), "{}", reply.text);
    assert!(reply.text.contains("x-own: yes") && reply.text.contains("authorization: basic x"));
    assert!(
        reply.text.contains("x-forwarded-prefix: /app/a") && reply.text.ends_with("{\"k\":\"v\"}")
    );
    assert!(world.visit("a", "").await.is(200).text == "ok");
    world.close().await;
}

#[tokio::test]
async fn an_app_without_address_service_or_healthy_machine_is_not_served() {
    let world = World::new().await;
    world.visit("none", "/").await.is(404);
    world.post("/apps", json!({ "name": "a", "org_slug": "personal" })).await.is(201);
    world.started("a", service("api:v1")).await;
    serving(&world, "a", 1).await;
    let reply = world.visit("a", "/").await.is(503);
    assert!(reply.text.contains("no public IP address"), "{}", reply.text);
    world.post("/apps/a/ip_assignments", json!({ "type": "private_v6" })).await.is(200);
    world.visit("a", "/").await.is(503);
    world.post("/apps/a/ip_assignments", json!({ "type": "v6" })).await.is(200);
    world.visit("a", "/").await.is(200);
    world.app("b").await;
    world.started("b", plain("api:v1")).await;
    let reply = world.visit("b", "/").await.is(503);
    assert!(reply.text.contains("no machine"), "{}", reply.text);
    world.close().await;
}

#[tokio::test]
async fn answers_are_streamed() {
    let world = World::new().await;
    world.app("a").await;
    world.started("a", service("api:v1")).await;
    serving(&world, "a", 1).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let request = Request::get(format!("{}/app/a/drip", world.base)).body(Body::empty()).unwrap();
    let mut body = client.request(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "one");
    world.visit("a", "/more").await.is(200);
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(rest, "two");
    world.close().await;
}

#[tokio::test]
async fn a_safe_request_survives_the_death_of_a_machine_and_an_unsafe_one_does_not() {
    let world = World::new().await;
    world.app("a").await;
    world.started("a", service("api:v1")).await;
    world.started("a", service("api:v1")).await;
    serving(&world, "a", 2).await;
    world.send("POST", "/app/a/die", &Value::Null, &[]).await.is(502);
    serving(&world, "a", 1).await;
    world.visit("a", "/").await.is(200);
    world.close().await;
}

#[tokio::test]
async fn a_safe_request_is_tried_on_the_next_machine_when_the_first_one_dies() {
    let world = World::new().await;
    world.app("a").await;
    let paths =
        [world.started("a", service("api:v1")).await, world.started("a", service("api:v1")).await];
    serving(&world, "a", 2).await;
    world.visit("a", "/die").await.is(502);
    for path in &paths {
        world.reach(path, "stopped").await;
        let exits =
            world.get(path).await.body["events"][0]["request"]["exit_event"]["exit_code"].clone();
        assert_eq!(exits, 3, "the request reached both");
    }
    world.close().await;
}
