//! F18, F20, F23 and what belongs to no app.

use serde_json::{Value, json};

use crate::support::{World, plain, service_config};

#[tokio::test]
async fn f18_one_request_a_second_with_a_burst_of_three_per_action_and_machine() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    world.set(json!({ "rate_limits": true }));
    let burst = async |path: &str| {
        let mut admitted = 0;
        for _ in 0..14 {
            let status = world.post(path, Value::Null).await.status.as_u16();
            admitted += usize::from(status != 429);
        }
        admitted
    };
    assert_eq!(burst(&format!("{path}/cordon")).await, 3);
    assert_eq!(burst(&format!("{path}/uncordon")).await, 3, "another action has its own allowance");
    world.clock.advance(2_000);
    assert_eq!(burst(&format!("{path}/cordon")).await, 2);
    let mut admitted = 0;
    for _ in 0..14 {
        admitted += usize::from(world.get(&path).await.status.as_u16() == 200);
    }
    assert_eq!(admitted, 10, "looking at a machine is cheaper");
    world.close().await;
}

#[tokio::test]
async fn f20_with_quirks_answers_bend_the_schema_as_the_real_ones_do() {
    let world = World::new().await;
    world.app("a").await;
    let mut config = service_config("api:v1");
    config["services"][0]["autostop"] = json!("stop");
    config.as_object_mut().unwrap().remove("restart");
    let path = world.started("a", json!({ "config": config })).await;
    let plain = world.get(&path).await.body;
    assert_eq!(plain["config"]["services"][0]["autostop"], "stop");
    assert!(plain["config"].get("env").is_none());
    world.set(json!({ "quirks": true }));
    let bent = world.get(&path).await.body;
    assert_eq!(bent["config"]["services"][0]["autostop"], true);
    assert_eq!(bent["config"]["restart"]["policy"], "");
    assert_eq!(bent["config"].get("env"), Some(&Value::Null));
    assert_eq!(bent["config"]["init"].get("exec"), Some(&Value::Null));
    assert_eq!(bent["config"].get("metadata"), Some(&Value::Null));
    let events = bent["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event.get("request") == Some(&Value::Null)));
    let times: Vec<i64> = events.iter().map(|event| event["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first");
    world.close().await;
}

#[tokio::test]
async fn f23_logs_come_once_and_then_from_the_token_on() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("crash")).await;
    world.reach(&path, "stopped").await;
    let id = path.rsplit('/').next().unwrap();
    let read = async |query: &str| {
        let path = format!("/flyapi/api/v1/apps/a/logs{query}");
        world.send("GET", &path, &Value::Null, &[]).await.is(200).body
    };
    let mut first = read("").await;
    while first["data"].as_array().unwrap().is_empty() {
        first = read("").await;
    }
    let line = &first["data"][0]["attributes"];
    assert_eq!((&line["message"], &line["level"]), (&json!("going down"), &json!("error")));
    assert_eq!((&line["instance"], &line["region"]), (&json!(id), &json!("iad")));
    let token = first["meta"]["next_token"].as_str().unwrap();
    assert_eq!(read(&format!("?next_token={token}")).await["data"], json!([]));
    world.post(&format!("{path}/start"), Value::Null).await.is(200);
    let mut later = read(&format!("?next_token={token}")).await;
    while later["data"].as_array().unwrap().is_empty() {
        later = read(&format!("?next_token={token}&instance={id}")).await;
    }
    assert_eq!(later["data"].as_array().unwrap().len(), 1);
    assert_eq!(read("?instance=none").await["data"], json!([]));
    assert_eq!(read("?region=ord").await["data"], json!([]));
    let none = [("authorization", "Bearer wrong")];
    world.send("GET", "/flyapi/api/v1/apps/a/logs", &Value::Null, &none).await.is(401);
    world.close().await;
}

#[tokio::test]
async fn f23_tokens_current_names_what_the_token_reaches() {
    let mut world = World::new().await;
    world.app("a").await;
    world.app("b").await;
    let tokens = world.get("/tokens/current").await.is(200).body;
    let slugs: Vec<&str> = tokens["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["org_slug"].as_str().unwrap())
        .collect();
    assert_eq!(slugs, ["personal", "sandbox-org"]);
    let token =
        world.post("/apps/a/deploy_token", json!({ "expiry": "1h" })).await.is(200).str("token");
    assert!(token.starts_with("FlyV1 fm2_"));
    world.token = token;
    let tokens = world.get("/tokens/current").await.is(200).body;
    assert_eq!(tokens["tokens"][0]["apps"], json!(["a"]));
    world.get("/apps/a").await.is(200);
    world.get("/apps/b").await.says(403, "unauthorized");
    world
        .post("/apps", json!({ "name": "c", "org_slug": "personal" }))
        .await
        .says(403, "unauthorized");
    world.close().await;
}

#[tokio::test]
async fn f24_regions_events_and_settings_have_their_documented_shape() {
    let world = World::new().await;
    let regions = world.get("/platform/regions").await.is(200).body;
    assert_eq!(regions["nearest"], "iad");
    assert!(regions["regions"].as_array().unwrap().iter().any(|region| region["code"] == "ord"));
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let events = world.get(&format!("{path}/events?limit=1")).await.is(200).body;
    assert_eq!(events.as_array().unwrap().len(), 1);
    world.get(&format!("{path}/events?limit=51")).await.is(400);
    let place = json!({ "org_slug": "personal", "region": "any" });
    world.post("/platform/placements", place).await.is(200);
    assert!(world.fly.set_settings(&json!({ "boot_msec": 1 })).is_err());
    assert!(world.fly.set_settings(&json!({ "boot_ms": "soon" })).is_err());
    world.close().await;
}
