//! F8: leases.

use serde_json::{Value, json};

use crate::support::{World, plain};

#[tokio::test]
async fn f08_a_lease_is_wrapped_and_keeps_others_out() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let lease = format!("{path}/lease");
    world.get(&lease).await.is(404);
    let reply = world.post(&lease, json!({ "ttl": 60, "description": "deploy" })).await.is(201);
    assert_eq!(reply.body["status"], "success");
    let data = &reply.body["data"];
    let nonce = data["nonce"].as_str().unwrap();
    assert_eq!(data["version"], world.get(&path).await.body["version"]);
    let soon = world.clock.now_ms() / 1000 + 60;
    assert!((soon - 5..=soon).contains(&data["expires_at"].as_i64().unwrap()));
    assert_eq!(world.get(&lease).await.is(200).body["data"]["nonce"], nonce);
    let refused = world.post(&lease, json!({ "ttl": 60 })).await.is(409);
    assert_eq!(
        (&refused.body["status"], &refused.body["code"]),
        (&json!("error"), &json!("invalid"))
    );
    let id = path.rsplit('/').next().unwrap();
    let message = refused.str("message");
    let start =
        format!("machine ID {id} lease currently held by sandbox@example.com, expires at 2");
    assert!(message.starts_with(&start) && message.ends_with(" +0000 UTC"), "{message}");
    world.close().await;
}

#[tokio::test]
async fn f08_every_mutation_needs_the_nonce_while_leased() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let reply = world.post(&format!("{path}/lease"), json!({ "ttl": 60 })).await.is(201);
    let nonce = reply.body["data"]["nonce"].as_str().unwrap();
    let mutations = [
        ("POST", "", plain("api:v2")),
        ("POST", "/stop", json!({})),
        ("POST", "/start", Value::Null),
        ("POST", "/restart", Value::Null),
        ("POST", "/suspend", Value::Null),
        ("POST", "/signal", json!({ "signal": "SIGUSR1" })),
        ("POST", "/cordon", Value::Null),
        ("POST", "/uncordon", Value::Null),
        ("POST", "/metadata/k", json!({ "value": "v" })),
        ("DELETE", "?force=true", Value::Null),
    ];
    for (method, below, body) in mutations {
        let target = format!("/fly/v1{path}{below}");
        let reply = world.send(method, &target, &body, &[]).await.is(409);
        assert!(reply.str("error").contains("lease currently held by"), "{}", reply.text);
        let wrong = [("fly-machine-lease-nonce", "000000000000")];
        world.send(method, &target, &body, &wrong).await.is(409);
    }
    world.get(&path).await.is(200);
    world.leased("POST", &format!("{path}/cordon"), Value::Null, nonce).await.is(200);
    world.leased("DELETE", &format!("{path}?force=true"), Value::Null, nonce).await.is(200);
    world.close().await;
}

#[tokio::test]
async fn f08_a_lease_is_refreshed_by_its_nonce_and_ends_by_the_clock() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let lease = format!("{path}/lease");
    let reply = world.post(&format!("{lease}?ttl=13"), json!({})).await.is(201);
    let nonce = reply.body["data"]["nonce"].as_str().unwrap().to_owned();
    world.clock.advance(12_000);
    let again = world.leased("POST", &lease, json!({ "ttl": 13 }), &nonce).await.is(201);
    assert_eq!(again.body["data"]["nonce"], nonce.as_str());
    world.clock.advance(12_000);
    world.post(&lease, json!({ "ttl": 13 })).await.is(409);
    world.clock.advance(1_000);
    let other = world.post(&lease, json!({ "ttl": 13 })).await.is(201);
    assert_ne!(other.body["data"]["nonce"], nonce.as_str());
    world.close().await;
}

#[tokio::test]
async fn f08_a_lease_is_freed_by_its_nonce_and_freeing_twice_is_harmless() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let lease = format!("{path}/lease");
    let reply = world.post(&lease, json!({ "ttl": 60 })).await.is(201);
    let nonce = reply.body["data"]["nonce"].as_str().unwrap().to_owned();
    world.leased("DELETE", &lease, Value::Null, "000000000000").await.is(409);
    let freed = world.leased("DELETE", &lease, Value::Null, &nonce).await.is(200);
    assert_eq!(freed.body, json!({ "status": "success", "data": { "ok": true } }));
    world.leased("DELETE", &lease, Value::Null, &nonce).await.is(404);
    world.post(&format!("{path}/cordon"), Value::Null).await.is(200);
    let shown = world.post(&lease, json!({ "ttl": 60, "description": "d" })).await.is(201);
    assert!(shown.body["data"]["nonce"].is_string());
    let machine = world.get(&format!("{path}?include_leases=true")).await.body;
    assert_eq!(machine["lease"]["description"], "d");
    assert!(machine["lease"]["nonce"].is_null());
    world.close().await;
}
