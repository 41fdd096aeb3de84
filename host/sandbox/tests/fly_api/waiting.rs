//! F6: the long poll.

use serde_json::{Value, json};

use crate::support::{World, plain};

#[tokio::test]
async fn f06_wait_answers_when_the_state_is_reached() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 1_000 }));
    world.app("a").await;
    let path = world.machine("a", plain("api:v1")).await;
    let version = world.get(&path).await.str("version");
    let reply = world.passing(100, world.reach(&path, "started")).await;
    assert_eq!(reply.body["ok"], true);
    assert_eq!((reply.str("state"), reply.str("version")), ("started".into(), version));
    assert_eq!(reply.str("event_id"), world.get(&path).await.body["events"][0]["id"]);
    world.close().await;
}

#[tokio::test]
async fn f06_wait_timeout_is_408() {
    let world = World::standing().await;
    world.app("a").await;
    world.set(json!({ "boot_ms": 600_000_000 }));
    let path = world.machine("a", plain("api:v1")).await;
    let wait = format!("{path}/wait?state=started&timeout=60");
    let reply = world.passing(1_000, world.get(&wait)).await;
    let text =
        "deadline_exceeded: machine failed to reach desired state, started, currently created";
    reply.says(408, text);
    world.close().await;
}

#[tokio::test]
async fn f06_wait_timeout_outside_1_to_60_is_400() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    for timeout in ["61", "90", "0", "never"] {
        let reply = world.get(&format!("{path}/wait?timeout={timeout}")).await.is(400);
        let text = reply.str("error");
        assert!(
            text.starts_with("invalid_argument: ")
                && text.ends_with("value must be inside range [1s, 1m0s]")
        );
    }
    world.get(&format!("{path}/wait?timeout=60")).await.is(200);
    world.get(&format!("{path}/wait")).await.is(200);
    world.get(&format!("{path}/wait?state=flying")).await.is(400);
    world.close().await;
}

#[tokio::test]
async fn f06_wait_takes_several_states_and_settled() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.machine("a", plain("done")).await;
    world.get(&format!("{path}/wait?state=stopped,failed&timeout=60")).await.is(200);
    let reply =
        world.get(&format!("{path}/wait?state=failed&state=stopped&timeout=60")).await.is(200);
    assert_eq!(reply.str("state"), "stopped");
    world.get(&format!("{path}/wait?state=settled&timeout=60")).await.is(200);
    world.close().await;
}

#[tokio::test]
async fn f06_wait_looks_at_the_version_and_the_event_it_is_given() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let machine = world.get(&path).await.body;
    let (old, event) =
        (machine["version"].as_str().unwrap(), machine["events"][0]["id"].as_str().unwrap());
    let timed_out = async |query: String| {
        let wait = format!("{path}/wait?timeout=1&{query}");
        world.passing(100, world.get(&wait)).await
    };
    timed_out(format!("from_event_id={event}")).await.is(408);
    world.get(&format!("{path}/wait?timeout=1&version={old}")).await.is(200);
    let new = world.post(&path, plain("api:v2")).await.is(200).str("version");
    world.get(&format!("{path}/wait?timeout=60&version={new}")).await.is(200);
    world.get(&format!("{path}/wait?timeout=60&from_event_id={event}")).await.is(200);
    timed_out(format!("version={old}")).await.is(408);
    world.close().await;
}

#[tokio::test]
async fn f06_waiting_for_destroyed_ends_in_200_and_later_in_404() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    world.send("DELETE", &format!("/fly/v1{path}?force=true"), &Value::Null, &[]).await.is(200);
    world.reach(&path, "destroyed").await;
    world.clock.advance(61_000);
    let reply = world.get(&format!("{path}/wait?state=destroyed&timeout=60")).await;
    reply.says(404, "not_found: machine not found");
    world.close().await;
}
