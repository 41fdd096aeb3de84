//! F1–F3: tokens, request ids, apps.

use serde_json::{Value, json};

use crate::support::{World, plain};

#[tokio::test]
async fn f01_bearer_and_flyv1_are_accepted_and_nothing_else() {
    let world = World::new().await;
    let with = async |value: &str| {
        let headers = [("authorization", value)];
        world.send("GET", "/fly/v1/apps?org_slug=personal", &Value::Null, &headers).await
    };
    with("Bearer sandbox-fly-token").await.is(200);
    with("FlyV1 fm2_sandbox").await.is(200);
    with("FlyV1 fm2_other,fm2_sandbox").await.is(200);
    with("Basic abc").await.says(401, "malformed authorization header");
    with("Bearer wrong").await.says(401, "Authenticate: token validation error");
    let doubled = with("FlyV1 FlyV1 fm2_sandbox").await;
    doubled.says(401, "Authenticate: token validation error");
    let text = "verify: invalid token: all tokens missing third-party discharge tokens; no verified \
                tokens; token e60f8cd1-a991-50f2-a3f8-cccca3b7f28c: missing third-party discharge token";
    with("FlyV1 fm2_sandbox_undischarged").await.says(401, text);
    world.close().await;
}

#[tokio::test]
async fn f01_unrouted_paths_and_methods_are_plain_404_even_without_a_token() {
    let mut world = World::new().await;
    world.token = String::new();
    for (method, path) in
        [("GET", "/nothing"), ("PATCH", "/apps"), ("POST", "/apps/a/certificates")]
    {
        let reply = world.send(method, &format!("/fly/v1{path}"), &Value::Null, &[]).await.is(404);
        assert_eq!(reply.text, "404 page not found\n");
    }
    world.get("/apps/a").await.says(401, "Authenticate: token validation error");
    world.close().await;
}

#[tokio::test]
async fn f01_every_answer_has_a_request_id_of_its_own() {
    let world = World::new().await;
    let id = async |path: &str| {
        let reply = world.get(path).await;
        reply.headers["fly-request-id"].to_str().unwrap().to_owned()
    };
    let ids = [id("/apps/none").await, id("/nothing").await, id("/platform/regions").await];
    assert!(ids.iter().all(|id| id.len() > 26), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    world.close().await;
}

#[tokio::test]
async fn f01_a_read_only_token_reads_and_does_not_write() {
    let mut world = World::new().await;
    world.app("mine").await;
    world.token = "Bearer sandbox-fly-readonly".to_owned();
    world.get("/apps/mine").await.is(200);
    world
        .post("/apps", json!({ "name": "b", "org_slug": "personal" }))
        .await
        .says(403, "unauthorized");
    world.delete("/apps/mine").await.says(403, "unauthorized");
    world.close().await;
}

#[tokio::test]
async fn f02_apps_are_created_by_name_or_app_name() {
    let world = World::new().await;
    for (field, name) in [("name", "one"), ("app_name", "two")] {
        let reply =
            world.post("/apps", json!({ field: name, "org_slug": "personal" })).await.is(201);
        assert!(
            reply.body["id"].is_string()
                && reply.body["created_at"].as_i64() > Some(1_600_000_000_000)
        );
        let app = world.get(&format!("/apps/{name}")).await.is(200);
        assert_eq!(app.body["organization"]["slug"], "personal");
        assert_eq!(app.body["machine_count"], 0);
    }
    world.post("/apps", json!({ "name": "x", "org_slug": "nobody" })).await.is(404);
    world.close().await;
}

#[tokio::test]
async fn f02_names_are_checked_and_taken_by_us_or_by_others() {
    let world = World::new().await;
    let create = async |name: &str| {
        world.post("/apps", json!({ "name": name, "org_slug": "personal" })).await
    };
    let shape =
        "Validation failed: Name under 63 chars using numbers, lowercase letters and dashes";
    for name in ["Upper", "under_score", "a.b", &"x".repeat(63)] {
        create(name).await.says(422, shape);
    }
    create(&"x".repeat(62)).await.is(201);
    create("mine").await.is(201);
    let taken = "Validation failed: Name has already been taken";
    for name in ["mine", "taken"] {
        let reply = create(name).await.says(422, taken);
        assert_eq!(reply.body["status"], "name_taken");
    }
    world.get("/apps/mine").await.is(200);
    world.get("/apps/taken").await.says(403, "unauthorized");
    world.get("/apps/free").await.says(404, "app not found");
    world.set(json!({ "names_taken": [] }));
    create("taken").await.is(201);
    world.close().await;
}

#[tokio::test]
async fn f02_an_idempotency_key_gives_back_the_first_app() {
    let world = World::new().await;
    let create = async |name: &str, key: &str| {
        let body = json!({ "name": name, "org_slug": "personal", "idempotency_key": key });
        world.post("/apps", body).await
    };
    let first = create("mine", "k1").await.is(201).str("id");
    assert_eq!(create("mine", "k1").await.is(201).str("id"), first);
    create("other", "k1").await.is(422);
    create("mine", "k2").await.says(422, "Validation failed: Name has already been taken");
    let nameless = json!({ "org_slug": "personal", "idempotency_key": "k1" });
    assert_eq!(world.post("/apps", nameless).await.is(201).str("id"), first);
    world.close().await;
}

#[tokio::test]
async fn f02_a_new_app_may_be_unknown_for_a_moment() {
    let world = World::standing().await;
    world.set(json!({ "app_lag_ms": 5_000 }));
    world.post("/apps", json!({ "name": "late", "org_slug": "personal" })).await.is(201);
    world.get("/apps/late").await.says(404, "app not found");
    world.post("/apps/late/machines", plain("api:v1")).await.says(404, "app not found");
    world.set(json!({ "app_lag_status": 401 }));
    world.get("/apps/late").await.says(401, "Authenticate: token validation error");
    world.clock.advance(5_000);
    world.get("/apps/late").await.is(200);
    world.close().await;
}

#[tokio::test]
async fn f03_the_list_needs_an_organisation_and_has_pages() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.post("/apps", json!({ "name": name, "org_slug": "personal" })).await.is(201);
    }
    world.post("/apps", json!({ "name": "d", "org_slug": "sandbox-org" })).await.is(201);
    world.get("/apps").await.is(400);
    world.get("/apps?org_slug=other-org").await.is(404);
    let all = world.get("/apps?org_slug=personal").await.is(200);
    assert_eq!(all.body["total_apps"], 3);
    assert!(all.body["next_cursor"].is_null());
    let first = world.get("/apps?org_slug=personal&limit=2").await.is(200);
    let cursor = first.str("next_cursor");
    let second =
        world.get(&format!("/apps?org_slug=personal&limit=2&cursor={cursor}")).await.is(200);
    let names = |reply: &crate::support::Reply| -> Vec<String> {
        let apps = reply.body["apps"].as_array().unwrap();
        apps.iter().map(|app| app["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&first), names(&second)), (vec!["a".into(), "b".into()], vec!["c".into()]));
    world.get("/apps?org_slug=personal&limit=0").await.is(400);
    world.get("/apps?org_slug=personal&limit=5001").await.is(400);
    world.close().await;
}

#[tokio::test]
async fn f03_deleting_an_app_takes_everything_along() {
    let world = World::new().await;
    world.app("mine").await;
    let machine = world.started("mine", plain("api:v1")).await;
    let id = machine.rsplit('/').next().unwrap().to_owned();
    world.post("/apps/mine/volumes", json!({ "name": "data", "region": "iad" })).await.is(200);
    let reply = world.delete("/apps/mine?force=true").await.is(202);
    assert_eq!(reply.text, "");
    world.get("/apps/mine").await.says(404, "app not found");
    world.get(&machine).await.says(404, "app not found");
    world.delete("/apps/mine").await.says(404, "Could not find App \"mine\"");
    world.app("mine").await;
    let list = world.get("/apps/mine/machines?include_deleted=true").await.is(200);
    assert_eq!(list.body, json!([]), "the new app must not show {id}");
    assert_eq!(world.get("/apps/mine/volumes").await.body, json!([]));
    assert_eq!(world.get("/apps/mine").await.body["machine_count"], 0);
    world.close().await;
}

#[tokio::test]
async fn f03_an_organisation_may_have_an_app_limit() {
    let world = World::new().await;
    world.set(json!({ "apps_max": 1 }));
    world.app("one").await;
    world.post("/apps", json!({ "name": "two", "org_slug": "personal" })).await.is(422);
    world.close().await;
}
