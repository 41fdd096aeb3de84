//! F11: health checks, exits, restarts.

use serde_json::{Value, json};

use crate::support::{World, plain, service};

#[tokio::test]
async fn f11_checks_are_empty_until_the_grace_period_is_over() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let mut body = service("api:v1");
    body["config"]["services"][0]["checks"][0]["grace_period"] = json!("10s");
    body["config"]["checks"] =
        json!({ "alive": { "type": "tcp", "port": 8080, "grace_period": "10s" } });
    let path = world.started("a", body).await;
    assert_eq!(world.get(&path).await.body["checks"], json!([]));
    world.clock.advance(9_999);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(world.get(&path).await.body["checks"], json!([]));
    world.clock.advance(1);
    let passing = |machine: &Value| {
        let checks = machine["checks"].as_array().unwrap();
        checks.len() == 2 && checks.iter().all(|check| check["status"] == "passing")
    };
    let machine = world.passing(20, world.until(&path, passing)).await;
    assert_eq!(machine["checks"][0]["name"], "servicecheck-00-http-8080");
    assert_eq!(machine["checks"][1]["name"], "alive");
    assert!(machine["checks"][0]["output"].as_str().unwrap().contains("200 OK"));
    world.close().await;
}

#[tokio::test]
async fn f11_updated_at_moves_only_when_the_status_changes() {
    let world = World::new().await;
    world.app("a").await;
    let mut body = service("api:v1");
    body["config"]["services"][0]["checks"][0]["interval"] = json!("100ms");
    let path = world.started("a", body).await;
    let is = |status: &'static str| move |machine: &Value| machine["checks"][0]["status"] == status;
    let first = world.until(&path, is("passing")).await["checks"][0]["updated_at"].clone();
    world.clock.advance(60_000);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(world.get(&path).await.body["checks"][0]["updated_at"], first);
    world.visit_up("a", "/sick").await;
    let critical = world.until(&path, is("critical")).await;
    assert_ne!(critical["checks"][0]["updated_at"], first);
    assert!(critical["checks"][0]["output"].as_str().unwrap().contains("500"));
    assert_eq!(critical["state"], "started", "a failing check does not restart a machine");
    world.visit("a", "/health").await.is(503);
    world.close().await;
}

#[tokio::test]
async fn f11_an_image_that_never_gets_healthy_stays_critical_and_unserved() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("api:sick")).await;
    world.until(&path, |machine| machine["checks"][0]["output"].to_string().contains("500")).await;
    assert_eq!(world.get(&path).await.body["checks"][0]["status"], "critical");
    world.visit("a", "/").await.is(503);
    world.close().await;
}

#[tokio::test]
async fn f11_a_check_that_hangs_or_asks_another_port_is_critical() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 0 }));
    world.app("a").await;
    let mut body = service("api:v1");
    body["config"]["services"][0]["checks"] = json!([
        { "type": "http", "path": "/hang", "timeout": "2s" },
        { "type": "tcp", "port": 9999 },
    ]);
    let path = world.started("a", body).await;
    let foreign = |check: &Value| check["name"] == "servicecheck-01-tcp-9999";
    let foreign = |machine: &Value| {
        let checks = machine["checks"].as_array().unwrap();
        checks.iter().any(|check| foreign(check) && check["status"] == "critical")
    };
    world.until(&path, foreign).await;
    let both = |machine: &Value| machine["checks"][0]["output"] == "no answer within 2000 ms";
    world.passing(100, world.until(&path, both)).await;
    world.close().await;
}

fn exits(machine: &Value) -> Vec<Value> {
    let events = machine["events"].as_array().unwrap();
    events
        .iter()
        .filter(|event| event["type"] == "exit")
        .map(|event| event["request"].clone())
        .collect()
}

#[tokio::test]
async fn f11_a_crashing_image_is_restarted_max_retries_times_and_then_stops() {
    let world = World::new().await;
    world.app("a").await;
    let restart = json!({ "policy": "on-failure", "max_retries": 3 });
    let path =
        world.machine("a", json!({ "config": { "image": "crash", "restart": restart } })).await;
    let machine = world.until(&path, |machine| machine["state"] == "stopped").await;
    let exits = exits(&machine);
    let counts: Vec<i64> =
        exits.iter().map(|exit| exit["restart_count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [3, 2, 1, 0], "newest first");
    assert!(exits.iter().all(|exit| exit["exit_event"]["exit_code"] == 3));
    let restarting: Vec<bool> =
        exits.iter().map(|exit| exit["exit_event"]["restarting"] == true).collect();
    assert_eq!(restarting, [false, true, true, true]);
    world.close().await;
}

#[tokio::test]
async fn f11_the_restart_policy_decides() {
    let world = World::new().await;
    world.app("a").await;
    let machine = async |image: &str, policy: &str| {
        let config = json!({ "image": image, "restart": { "policy": policy } });
        world.machine("a", json!({ "config": config })).await
    };
    let never = machine("crash", "no").await;
    let clean = machine("done", "on-failure").await;
    let always = machine("done", "always").await;
    for path in [never, clean] {
        let machine = world.until(&path, |machine| machine["state"] == "stopped").await;
        assert_eq!(exits(&machine).len(), 1);
    }
    world.until(&always, |machine| exits(machine).len() >= 4).await;
    let mut body = plain("done");
    body["config"]["auto_destroy"] = json!(true);
    let gone = world.machine("a", body).await;
    world.reach(&gone, "destroyed").await;
    world.close().await;
}
