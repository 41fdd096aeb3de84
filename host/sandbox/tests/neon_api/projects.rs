//! N3, N4, N8–N12: projects.

use serde_json::{Value, json};

use super::common::{Project, Test};

#[tokio::test]
async fn n03_a_new_project_has_seven_parts_and_unfinished_operations() {
    let test = Test::start().await;
    let made = test.new_project(json!({})).await;
    for part in
        ["project", "connection_uris", "roles", "databases", "operations", "branch", "endpoints"]
    {
        assert!(!made.body[part].is_null(), "{part} is missing");
    }
    assert_eq!(made.each("operations", "status"), ["running", "scheduling"]);
    assert_eq!(made.text("/branch/current_state"), "init");
    assert_eq!(made.text("/branch/pending_state"), "ready");
    assert_eq!(made.text("/endpoints/0/current_state"), "init");
    assert_eq!(made.text("/endpoints/0/pending_state"), "active");
    let project = Project::of(&made);
    test.finish(&project.id).await;
    assert_eq!(test.get(&project.branch).await.text("/branch/current_state"), "ready");
    assert_eq!(test.get(&project.endpoint).await.text("/endpoint/current_state"), "active");
    test.stop().await;
}

#[tokio::test]
async fn n03_defaults_are_the_vendors() {
    let test = Test::start().await;
    let made = test.new_project(json!({})).await;
    assert_eq!(made.text("/project/name"), made.text("/project/id"));
    assert_eq!(made.body["project"]["pg_version"], 17);
    assert_eq!(made.body["project"]["store_passwords"], true);
    assert_eq!(made.text("/project/region_id"), "aws-us-east-2");
    assert_eq!(made.text("/branch/name"), "main");
    assert_eq!(made.body["branch"]["default"], true);
    assert_eq!(made.text("/databases/0/name"), "neondb");
    assert_eq!(made.text("/databases/0/owner_name"), "neondb_owner");
    assert_eq!(made.text("/roles/0/name"), "neondb_owner");
    let parameters = &made.body["connection_uris"][0]["connection_parameters"];
    let wanted = format!(
        "postgresql://neondb_owner:{}@{}/neondb?sslmode=disable",
        made.text("/roles/0/password"),
        made.text("/endpoints/0/host"),
    );
    assert_eq!(made.text("/connection_uris/0/connection_uri"), wanted);
    assert_eq!(parameters["host"], made.body["endpoints"][0]["host"]);
    assert_ne!(parameters["host"], parameters["pooler_host"]);
    let words = made.text("/project/id");
    let tail = words.rsplit('-').next().unwrap();
    assert!(words.split('-').count() == 3 && tail.chars().all(|c| c.is_ascii_digit()), "{words}");
    assert!(made.text("/branch/id").starts_with("br-"));
    assert!(made.text("/endpoints/0/id").starts_with("ep-"));
    test.stop().await;
}

#[tokio::test]
async fn n03_what_is_given_is_taken() {
    let test = Test::start().await;
    let made = test
        .new_project(json!({
            "name": "given", "region_id": "aws-eu-central-1", "pg_version": 16,
            "branch": {"name": "trunk", "database_name": "shop"},
            "default_endpoint_settings": {"autoscaling_limit_max_cu": 2, "suspend_timeout_seconds": -1},
            "history_retention_seconds": 3600,
        }))
        .await;
    assert_eq!(made.text("/branch/name"), "trunk");
    assert_eq!(made.text("/roles/0/name"), "shop_owner");
    assert_eq!(made.body["project"]["pg_version"], 16);
    assert_eq!(made.body["project"]["history_retention_seconds"], 3600);
    assert_eq!(made.body["endpoints"][0]["autoscaling_limit_max_cu"], 2.0);
    assert_eq!(made.body["endpoints"][0]["suspend_timeout_seconds"], -1);
    assert_eq!(made.text("/endpoints/0/region_id"), "aws-eu-central-1");
    let wrong = [
        json!({"name": ""}),
        json!({"name": "x".repeat(257)}),
        json!({"pg_version": 13}),
        json!({"region_id": "aws-moon-1"}),
        json!({"name": 7}),
        json!({"branch": {"database_name": "x".repeat(64)}}),
    ];
    for fields in wrong {
        test.post("/projects", json!({"project": fields})).await.ok(400);
    }
    test.post("/projects", json!({})).await.ok(400);
    test.stop().await;
}

#[tokio::test]
async fn n04_the_same_name_twice_makes_two_projects() {
    let test = Test::start().await;
    let first = test.new_project(json!({"name": "twin_"})).await.text("/project/id");
    let second = test.new_project(json!({"name": "twin_"})).await.text("/project/id");
    assert_ne!(first, second);
    let listed = test.get("/projects?search=twin_").await.ok(200);
    let mut ids = listed.each("projects", "id");
    ids.sort();
    let mut wanted = vec![first, second];
    wanted.sort();
    assert_eq!(ids, wanted);
    test.stop().await;
}

#[tokio::test]
async fn n08_connection_uri_wants_both_names_and_honours_the_rest() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let base = format!("{}/connection_uri", project.path);
    test.get(&base).await.ok(400);
    test.get(&format!("{base}?database_name=neondb")).await.ok(400);
    test.get(&format!("{base}?role_name=neondb_owner")).await.ok(400);
    let both = format!("{base}?database_name=neondb&role_name=neondb_owner");
    assert_eq!(test.get(&both).await.ok(200).text("/uri"), project.uri);

    let pooled = test.get(&format!("{both}&pooled=true")).await.ok(200).text("/uri");
    let endpoint = test.get(&project.endpoint).await.ok(200);
    assert!(!pooled.contains(&endpoint.text("/endpoint/host")));
    assert_eq!(pooled.split('@').next(), project.uri.split('@').next());

    let body = json!({"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]});
    let dev = test.post(&format!("{}/branches", project.path), body).await.ok(201);
    test.finish(&project.id).await;
    let of_branch = format!("{both}&branch_id={}", dev.text("/branch/id"));
    let of_endpoint = format!("{both}&endpoint_id={}", dev.text("/endpoints/0/id"));
    let uri = test.get(&of_branch).await.ok(200).text("/uri");
    assert!(uri.contains(&dev.text("/endpoints/0/host")));
    assert_eq!(test.get(&of_endpoint).await.ok(200).text("/uri"), uri);

    for (query, text) in [
        ("database_name=nope&role_name=neondb_owner", "database not found for branch"),
        ("database_name=neondb&role_name=nope", "role not found for branch"),
        ("database_name=neondb&role_name=neondb_owner&branch_id=br-nope-1", "branch not found"),
    ] {
        let refused = test.get(&format!("{base}?{query}")).await.ok(404);
        assert!(refused.text("/message").starts_with(text), "{}", refused.body);
    }
    test.stop().await;
}

#[tokio::test]
async fn n09_the_listing_pages_searches_and_lags() {
    let test = Test::start().await;
    let mut ids = Vec::new();
    for number in 0..12 {
        let made = test.new_project(json!({"name": format!("shop_{number:02}")})).await;
        ids.push(made.text("/project/id"));
        test.advance(1_000).await;
    }
    let first = test.get("/projects").await.ok(200);
    assert_eq!(first.each("projects", "id").len(), 10);
    let cursor = first.text("/pagination/cursor");
    let second = test.get(&format!("/projects?cursor={cursor}")).await.ok(200);
    let all = [first.each("projects", "id"), second.each("projects", "id")].concat();
    assert_eq!(all, ids);
    // Past the end: empty, and the cursor does not advance.
    let cursor = second.text("/pagination/cursor");
    let end = test.get(&format!("/projects?cursor={cursor}")).await.ok(200);
    assert_eq!(end.body["projects"], json!([]));
    assert_eq!(end.text("/pagination/cursor"), cursor);

    assert_eq!(test.get("/projects?limit=400").await.ok(200).each("projects", "id").len(), 12);
    test.get("/projects?limit=401").await.ok(400);
    test.get("/projects?limit=0").await.ok(400);
    assert_eq!(
        test.get("/projects?search=SHOP_03").await.ok(200).each("projects", "id"),
        [&*ids[3]]
    );
    let part = &ids[5][2..ids[5].len() - 1];
    let by_id = test.get(&format!("/projects?search={part}")).await.ok(200);
    assert!(by_id.each("projects", "id").contains(&ids[5]));

    test.settings(json!({"list_lag_ms": 5_000})).await;
    // An underscore, which no id has: a word could be part of one.
    test.new_project(json!({"name": "late_one"})).await;
    let late = async || test.get("/projects?search=late_").await.ok(200).each("projects", "name");
    assert!(late().await.is_empty());
    test.advance(5_000).await;
    assert_eq!(late().await, ["late_one"]);
    test.stop().await;
}

#[tokio::test]
async fn n09_unavailable_projects_are_named_and_not_listed() {
    let test = Test::start().await;
    let hidden = test.new_project(json!({"name": "hidden"})).await.text("/project/id");
    test.advance(1).await;
    test.new_project(json!({"name": "shown"})).await;
    let fault = json!({"unavailable_projects": [hidden]});
    test.fault(json!({"route": "GET /neon/api/v2/projects", "fault": fault})).await;
    let partial = test.get("/projects").await.ok(200);
    assert_eq!(partial.each("projects", "name"), ["shown"]);
    assert_eq!(partial.body["unavailable_project_ids"], json!([hidden]));
    let whole = test.get("/projects").await.ok(200);
    assert_eq!(whole.each("projects", "name"), ["hidden", "shown"]);
    assert!(whole.body.get("unavailable_project_ids").is_none());
    test.stop().await;
}

#[tokio::test]
async fn n10_only_four_fields_change() {
    let test = Test::start().await;
    let project = test.project(json!({"name": "before"})).await;
    let before = test.get(&project.path).await.ok(200).body["project"].clone();
    let fields = json!({
        "name": "after", "history_retention_seconds": 60,
        "settings": {"block_public_connections": true},
        "default_endpoint_settings": {"suspend_timeout_seconds": 600},
        "region_id": "aws-eu-west-2", "pg_version": 14, "store_passwords": false,
        "org_id": "org-other-1",
    });
    let changed = test.patch(&project.path, json!({"project": fields})).await.ok(200);
    assert_eq!(changed.body["operations"], json!([]));
    let mut wanted = before;
    wanted["name"] = json!("after");
    wanted["history_retention_seconds"] = json!(60);
    wanted["settings"]["block_public_connections"] = json!(true);
    wanted["default_endpoint_settings"]["suspend_timeout_seconds"] = json!(600);
    wanted["updated_at"] = changed.body["project"]["updated_at"].clone();
    assert_eq!(test.get(&project.path).await.ok(200).body["project"], wanted);
    // Defaults are for computes made later.
    let endpoint = test.get(&project.endpoint).await.ok(200);
    assert_eq!(endpoint.body["endpoint"]["suspend_timeout_seconds"], 0);
    test.stop().await;
}

#[tokio::test]
async fn n10_logical_replication_only_goes_on() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let switch = |on: bool| json!({"project": {"settings": {"enable_logical_replication": on}}});
    let on = test.patch(&project.path, switch(true)).await.ok(200);
    assert_eq!(on.each("operations", "action"), ["suspend_compute"]);
    test.finish(&project.id).await;
    test.patch(&project.path, switch(false)).await.ok(400);
    let read = test.get(&project.path).await.ok(200);
    assert_eq!(read.body["project"]["settings"]["enable_logical_replication"], true);
    test.stop().await;
}

#[tokio::test]
async fn n11_a_history_above_the_plans_maximum_is_refused_with_both_numbers() {
    let test = Test::start().await;
    let text = "requested history retention seconds exceeds allowed maximum; \
                requested_history_retention_seconds:\"86400\", max:\"21600\"";
    let fields = json!({"project": {"history_retention_seconds": 86_400}});
    test.post("/projects", fields.clone()).await.refused(400, "", text);
    let project = test.project(json!({})).await;
    test.patch(&project.path, fields).await.refused(400, "", text);
    let read = test.get(&project.path).await.ok(200);
    assert_eq!(read.body["project"]["history_retention_seconds"], 21_600);
    test.stop().await;
}

#[tokio::test]
async fn n11_quotas_are_422_with_a_code() {
    let test = Test::start().await;
    test.settings(json!({"projects_max": 1, "branches_max": 3, "root_branches_max": 2})).await;
    let project = test.project(json!({})).await;
    let text = "user projects limit of 1 exceeded, got 1";
    let refused = test.post("/projects", json!({"project": {}})).await;
    refused.refused(422, "PROJECTS_LIMIT_EXCEEDED", text);

    let branches = format!("{}/branches", project.path);
    let root = json!({"branch": {"init_source": "schema-only"}});
    test.post(&branches, root.clone()).await.ok(201);
    test.finish(&project.id).await;
    let refused = test.post(&branches, root).await.ok(422);
    assert_eq!(refused.text("/code"), "ROOT_BRANCHES_LIMIT_EXCEEDED");
    test.post(&branches, Value::Null).await.ok(201);
    test.finish(&project.id).await;
    let refused = test.post(&branches, Value::Null).await.ok(422);
    assert_eq!(refused.text("/code"), "BRANCHES_LIMIT_EXCEEDED");
    // A deleted project no longer counts.
    test.delete(&project.path).await.ok(200);
    test.post("/projects", json!({"project": {}})).await.ok(201);
    test.stop().await;
}

#[tokio::test]
async fn n12_a_deleted_project_is_gone_but_can_be_recovered() {
    let test = Test::start().await;
    let project = test.project(json!({"name": "phoenix"})).await;
    let deleted = test.delete(&project.path).await.ok(200);
    assert_eq!(deleted.text("/project/id"), project.id);
    for path in [&project.path, &project.branch, &project.endpoint] {
        test.get(path).await.refused(404, "", "project not found");
    }
    test.delete(&project.path).await.refused(404, "", "project not found");
    assert_eq!(test.get("/projects").await.ok(200).body["projects"], json!([]));
    let listed = test.get("/projects?recoverable=true").await.ok(200);
    assert_eq!(listed.each("projects", "id"), [&*project.id]);
    assert!(listed.body["projects"][0]["deleted_at"].is_string());
    assert!(listed.body["projects"][0]["recoverable_until"].is_string());

    let recovered = test.post(&format!("{}/recover", project.path), Value::Null).await.ok(200);
    assert_eq!(recovered.each("branches", "id"), [&*project.branch_id]);
    assert_eq!(test.get(&project.path).await.ok(200).text("/project/name"), "phoenix");
    assert_eq!(test.get(&project.endpoint).await.text("/endpoint/current_state"), "idle");
    test.post(&format!("{}/recover", project.path), Value::Null).await.ok(422);
    test.stop().await;
}

#[tokio::test]
async fn n12_after_seven_days_it_is_gone_for_good() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    test.delete(&project.path).await.ok(200);
    test.advance(7 * 24 * 3_600_000 - 1).await;
    assert_eq!(test.get("/projects?recoverable=true").await.each("projects", "id").len(), 1);
    test.advance(1).await;
    assert_eq!(test.get("/projects?recoverable=true").await.body["projects"], json!([]));
    let recover = test.post(&format!("{}/recover", project.path), Value::Null).await;
    recover.refused(404, "", "project not found");
    test.stop().await;
}
