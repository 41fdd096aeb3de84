//! F4, F5, F12-free part of creation, F19, F21: making machines and not being able to.

use serde_json::{Value, json};

use crate::support::{World, plain, service, variable};

#[tokio::test]
async fn f04_a_machine_goes_from_created_over_starting_to_started_by_the_clock() {
    let world = World::standing().await;
    world.set(json!({ "boot_ms": 1_000 }));
    world.app("a").await;
    let reply = world
        .post("/apps/a/machines", json!({ "region": "ord", "config": { "image": "api:v1" } }))
        .await
        .is(200);
    let id = reply.str("id");
    assert!(id.len() == 14 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert!(reply.str("version").len() == 26 && reply.body["version"] == reply.body["instance_id"]);
    assert_eq!((&reply.body["state"], &reply.body["region"]), (&json!("created"), &json!("ord")));
    assert_eq!(reply.body["events"][0]["type"], "launch");
    assert_eq!(reply.body["config"]["guest"]["memory_mb"], 256);
    let path = format!("/apps/a/machines/{id}");
    assert_eq!(world.get(&path).await.str("state"), "created");
    world.passing(100, world.reach(&path, "started")).await;
    let timeline = world.fly.timeline();
    let entries = timeline.as_array().unwrap().iter().filter(|entry| entry["total"] == 1);
    let entries: Vec<(&str, i64)> = entries
        .map(|entry| {
            let state = entry["machines"][&id]["state"].as_str().unwrap();
            (state, entry["at_ms"].as_i64().unwrap())
        })
        .collect();
    let states: Vec<&str> = entries.iter().map(|entry| entry.0).collect();
    assert_eq!(states, ["created", "starting", "started"]);
    assert!(entries.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 500), "{entries:?}");
    world.close().await;
}

#[tokio::test]
async fn f04_skip_launch_stays_and_skip_service_registration_is_cordoned() {
    let world = World::new().await;
    world.app("a").await;
    let path =
        world.machine("a", json!({ "skip_launch": true, "config": { "image": "api:v1" } })).await;
    let other = world
        .started("a", json!({ "skip_service_registration": true, "config": { "image": "api:v1" } }))
        .await;
    assert_eq!(world.get(&path).await.str("state"), "created");
    assert_eq!(world.get(&path).await.body["cordoned"], false);
    assert_eq!(world.get(&other).await.body["cordoned"], true);
    world.post(&format!("{path}/start"), Value::Null).await.is(200);
    world.reach(&path, "started").await;
    world.close().await;
}

#[tokio::test]
async fn f04_lease_ttl_leases_the_machine_from_birth() {
    let world = World::new().await;
    world.app("a").await;
    let mut body = plain("api:v1");
    body["lease_ttl"] = json!(60);
    let reply = world.post("/apps/a/machines", body).await.is(200);
    let (path, nonce) = (format!("/apps/a/machines/{}", reply.str("id")), reply.str("nonce"));
    world.reach(&path, "started").await;
    assert!(world.get(&path).await.body["nonce"].is_null());
    world.post(&format!("{path}/stop"), Value::Null).await.is(409);
    world.leased("POST", &format!("{path}/stop"), Value::Null, &nonce).await.is(200);
    world.close().await;
}

#[tokio::test]
async fn f04_the_program_sees_the_machines_environment_and_nothing_of_ours() {
    let world = World::new().await;
    world.app("a").await;
    let mut body = service("api:v1");
    body["config"]["env"] = json!({ "GREETING": "hello", "OWN": "machine", "PORT": "8080" });
    body["region"] = json!("cdg");
    let path = world.started("a", body).await;
    let id = path.rsplit('/').next().unwrap();
    for (name, value) in [
        ("GREETING", Some("hello")),
        ("OWN", Some("machine")),
        ("VERSION", Some("v1")),
        ("FLY_APP_NAME", Some("a")),
        ("FLY_MACHINE_ID", Some(id)),
        ("FLY_REGION", Some("cdg")),
        ("CARGO_MANIFEST_DIR", None),
        ("CARGO_PKG_NAME", None),
    ] {
        assert_eq!(variable(&world, "a", name).await.as_deref(), value, "{name}");
    }
    assert_ne!(variable(&world, "a", "PORT").await.as_deref(), Some("8080"));
    world.close().await;
}

#[tokio::test]
async fn f04_bad_configurations_are_refused() {
    let world = World::new().await;
    world.app("a").await;
    let create =
        async |config: Value| world.post("/apps/a/machines", json!({ "config": config })).await;
    create(json!({})).await.is(400);
    let guest = json!({ "cpu_kind": "performance", "cpus": 2, "memory_mb": 512 });
    let text = "invalid config.guest.memory_mb, minimum required 4096 MiB";
    create(json!({ "image": "api:v1", "guest": guest })).await.says(422, text);
    let text = "invalid_argument: failed to get manifest ghcr.io/me/none:1: MANIFEST_UNKNOWN: manifest unknown";
    create(json!({ "image": "ghcr.io/me/none:1" })).await.says(400, text);
    world
        .post("/apps/a/machines", json!({ "region": "xyz", "config": { "image": "api:v1" } }))
        .await
        .is(400);
    assert_eq!(world.get("/apps/a/machines").await.body, json!([]));
    world.close().await;
}

#[tokio::test]
async fn f04_an_image_is_built_once_and_a_failing_build_fails_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "images:\n  b: {{ command: ['{}'], build: [sh, -c, 'echo once >> built.txt'] }}\n  \
         f: {{ command: ['true'], build: [sh, -c, 'echo no compiler; exit 2'] }}\n  \
         g: {{ command: ['./not-there'] }}\n",
        crate::support::APP
    );
    let images = ss_sandbox::sandbox_yaml::Images::from_text(text, folder.path());
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir, ss_sandbox::clock::Clock::real(), images).await;
    world.set(json!({ "rate_limits": false, "boot_ms": 20, "restart_delay_ms": 10 }));
    world.app("a").await;
    world.started("a", plain("b")).await;
    world.started("a", plain("b")).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("built.txt")).unwrap(), "once\n");
    let failed = world.machine("a", plain("f")).await;
    world.reach(&failed, "failed").await;
    let event = &world.get(&failed).await.body["events"][0];
    assert_eq!(event["request"]["error"], "build of f failed with exit code 2");
    let missing = world.machine("a", plain("g")).await;
    let machine = world.until(&missing, |machine| machine["state"] == "stopped").await;
    assert_eq!(machine["events"][0]["request"]["exit_event"]["exit_code"], 127);
    world.close().await;
}

#[tokio::test]
async fn f05_a_live_name_is_taken_and_that_of_a_destroyed_machine_is_free() {
    let world = World::new().await;
    world.app("a").await;
    let named = json!({ "name": "web-1", "config": { "image": "api:v1" } });
    let path = world.started("a", named.clone()).await;
    let id = path.rsplit('/').next().unwrap();
    let text = format!(
        "already_exists: unique machine name violation, machine ID {id} already exists with name \"web-1\""
    );
    world.post("/apps/a/machines", named.clone()).await.says(409, &text);
    world.delete(&format!("{path}?force=true")).await.is(200);
    world.reach(&path, "destroyed").await;
    world.started("a", named).await;
    world.close().await;
}

#[tokio::test]
async fn f19_shortages_refuse_in_the_words_of_the_region_the_host_and_the_volume() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", plain("api:v1")).await;
    let rule =
        |on: &str, kind: &str| json!({ "capacity": [{ "on": on, "kind": kind, "times": 1 }] });
    world.set(rule("create", "no_capacity"));
    world.post("/apps/a/machines", plain("api:v1")).await.says(409, "aborted: no capacity");
    world.set(rule("create", "insufficient_capacity"));
    let reply = world.post("/apps/a/machines", plain("api:v1")).await;
    let reply = reply.says(422, "could not find a candidate host");
    assert_eq!(reply.body["status"], "insufficient_capacity");
    world.set(rule("update", "host_full"));
    let version = world.get(&path).await.str("version");
    let text = "aborted: could not reserve resource for machine: insufficient memory available to \
                fulfill request on the current host";
    world.post(&path, plain("api:v2")).await.says(409, text);
    assert_eq!(world.get(&path).await.str("version"), version);
    world.post(&path, plain("api:v2")).await.is(200);
    world.close().await;
}

#[tokio::test]
async fn f19_a_region_can_be_full_while_another_is_not_and_placements_knows() {
    let world = World::new().await;
    world.app("a").await;
    world.set(json!({ "capacity": [{ "on": "create", "kind": "no_capacity", "region": "iad" }] }));
    let create = async |region: &str| {
        let mut body = plain("api:v1");
        body["region"] = json!(region);
        world.post("/apps/a/machines", body).await.status.as_u16()
    };
    assert_eq!((create("iad").await, create("ord").await), (409, 200));
    let place = json!({ "org_slug": "personal", "region": "iad,ord", "count": 1 });
    let reply = world.post("/platform/placements", place).await.is(200);
    assert_eq!(reply.body["regions"][0]["region"], "ord");
    assert_eq!(reply.body["regions"].as_array().unwrap().len(), 1);
    world.close().await;
}

#[tokio::test]
async fn f19_an_unreachable_host_shows_an_incomplete_config() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", json!({ "name": "web", "config": { "image": "api:v1" } })).await;
    assert_eq!(world.get(&path).await.body["host_status"], "ok");
    world.set(json!({ "unreachable": ["web"] }));
    let machine = world.get(&path).await.body;
    assert_eq!(machine["host_status"], "unreachable");
    assert!(machine["config"].is_null());
    assert_eq!(machine["incomplete_config"]["image"], "api:v1");
    world.close().await;
}

#[tokio::test]
async fn f19_an_app_may_have_a_machine_limit() {
    let world = World::new().await;
    world.app("a").await;
    world.set(json!({ "machines_per_app_max": 1 }));
    world.started("a", plain("api:v1")).await;
    let text = "To create more than 1 machine per app please add a payment method.";
    world.post("/apps/a/machines", plain("api:v1")).await.says(422, text);
    world.close().await;
}

#[tokio::test]
async fn f21_a_create_can_be_lost_although_the_machine_exists() {
    let world = World::new().await;
    world.app("a").await;
    world.set(json!({ "lost_creates": 1 }));
    let body =
        json!({ "name": "web-1", "config": { "image": "api:v1", "metadata": { "launch": "l1" } } });
    world.post("/apps/a/machines", body.clone()).await.is(408);
    let found = world.get("/apps/a/machines?metadata.launch=l1").await.is(200);
    assert_eq!(found.body.as_array().unwrap().len(), 1);
    let again = world.post("/apps/a/machines", body).await.is(409);
    let id = found.body[0]["id"].as_str().unwrap();
    assert!(again.str("error").contains(id));
    world.reach(&format!("/apps/a/machines/{id}"), "started").await;
    world.close().await;
}
