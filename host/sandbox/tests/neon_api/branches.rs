//! N13–N15, N21: branches.

use serde_json::{Value, json};

use super::common::{Answer, Project, Test};

async fn branch(test: &Test, project: &Project, body: Value) -> Answer {
    let made = test.post(&format!("{}/branches", project.path), body).await.ok(201);
    test.finish(&project.id).await;
    made
}

#[tokio::test]
async fn n13_a_name_in_use_is_409() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let dev = json!({"branch": {"name": "dev"}});
    branch(&test, &project, dev.clone()).await;
    let path = format!("{}/branches", project.path);
    let text = "branch already exists; branch_name:\"dev\"";
    test.post(&path, dev.clone()).await.refused(409, "BRANCH_ALREADY_EXISTS", text);
    test.patch(&project.branch, dev.clone()).await.refused(409, "BRANCH_ALREADY_EXISTS", text);
    // Its own name is no conflict, and the code can be as empty as it was in 2025.
    test.patch(&project.branch, json!({"branch": {"name": "main"}})).await.ok(200);
    test.settings(json!({"error_codes": false})).await;
    test.post(&path, dev).await.refused(409, "", text);
    test.stop().await;
}

#[tokio::test]
async fn n13_what_may_not_be_deleted_and_what_is_gone_already() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let at = |it: &Answer| format!("{}/branches/{}", project.path, it.text("/branch/id"));
    let parent = branch(&test, &project, json!({"branch": {"name": "parent"}})).await;
    let id = parent.text("/branch/id");
    let child = json!({"branch": {"name": "child", "parent_id": id, "protected": true}});
    let child = branch(&test, &project, child).await;
    assert_eq!(child.text("/branch/parent_id"), id);

    test.delete(&project.branch).await.refused(422, "", "cannot delete default branch");
    test.delete(&at(&parent)).await.refused(422, "", "cannot delete parent branch");
    test.delete(&at(&child)).await.refused(422, "", "cannot delete protected branch");
    let lifted = test.patch(&at(&child), json!({"branch": {"protected": false}})).await.ok(200);
    assert_eq!(lifted.body["branch"]["protected"], false);

    let deleted = test.delete(&at(&child)).await.ok(200);
    assert_eq!(deleted.each("operations", "action"), ["delete_timeline"]);
    test.get(&at(&child)).await.refused(404, "", "branch not found");
    test.finish(&project.id).await;
    test.delete(&at(&child)).await.ok(204);
    test.delete(&format!("{}/branches/br-never-1", project.path)).await.ok(204);
    test.delete(&at(&parent)).await.ok(200);
    test.stop().await;
}

#[tokio::test]
async fn n13_the_old_root_stays_even_when_another_is_default() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    // A schema-only branch is no child, so nothing but its being the root keeps `main`.
    let dev = branch(&test, &project, json!({"branch": {"init_source": "schema-only"}})).await;
    assert!(dev.body["branch"].get("parent_id").is_none());
    let dev = format!("{}/branches/{}", project.path, dev.text("/branch/id"));
    let set = test.post(&format!("{dev}/set_as_default"), Value::Null).await.ok(200);
    assert_eq!(set.body["branch"]["default"], true);
    assert_eq!(test.get(&project.branch).await.body["branch"]["default"], false);
    test.delete(&dev).await.refused(422, "", "cannot delete default branch");
    test.delete(&project.branch).await.refused(422, "", "cannot delete root branch");
    test.post(&format!("{}/set_as_default", project.branch), Value::Null).await.ok(200);
    test.delete(&dev).await.ok(200);
    test.stop().await;
}

#[tokio::test]
async fn n14_annotations_come_back_in_list_and_get() {
    let test = Test::start().await;
    let first = json!({"ss_stack": "shop"});
    let project = test.project(json!({"branch": {"annotations": first}})).await;
    let second = json!({"commit": "abc"});
    let dev = branch(&test, &project, json!({"annotation_value": second})).await;
    let dev = dev.text("/branch/id");
    let plain = branch(&test, &project, json!({})).await.text("/branch/id");

    let one = test.get(&project.branch).await.ok(200);
    assert_eq!(one.body["annotation"]["value"], first);
    assert_eq!(one.body["annotation"]["object"]["id"], json!(project.branch_id));
    let listed = test.get(&format!("{}/branches", project.path)).await.ok(200);
    assert_eq!(listed.body["annotations"][&project.branch_id]["value"], first);
    assert_eq!(listed.body["annotations"][&dev]["value"], second);
    assert!(listed.body["annotations"].get(&plain).is_none());

    let many: serde_json::Map<String, Value> =
        (0..51).map(|n| (n.to_string(), json!("x"))).collect();
    let refused = json!({"annotation_value": many});
    test.post(&format!("{}/branches", project.path), refused).await.ok(400);
    test.stop().await;
}

#[tokio::test]
async fn n15_the_branch_list_pages_by_next() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    for name in ["b", "a", "c_d"] {
        branch(&test, &project, json!({"branch": {"name": name}})).await;
    }
    let base = format!("{}/branches?sort_by=name&sort_order=asc&limit=3", project.path);
    let first = test.get(&base).await.ok(200);
    assert_eq!(first.each("branches", "name"), ["a", "b", "c_d"]);
    assert!(first.body["pagination"].get("cursor").is_none());
    let next = first.text("/pagination/next");
    let second = test.get(&format!("{base}&cursor={next}")).await.ok(200);
    assert_eq!(second.each("branches", "name"), ["main"]);
    assert!(second.body["pagination"].get("next").is_none());

    let newest = test.get(&format!("{}/branches", project.path)).await.ok(200);
    assert_eq!(newest.each("branches", "name")[0], "c_d");
    // An underscore, which no id has: a word could be part of one.
    let found = test.get(&format!("{}/branches?search=C_", project.path)).await.ok(200);
    assert_eq!(found.each("branches", "name"), ["c_d"]);
    let count = test.get(&format!("{}/branches/count", project.path)).await.ok(200);
    assert_eq!(count.body["count"], 4);
    test.get(&format!("{}/branches?sort_by=size", project.path)).await.ok(400);
    test.stop().await;
}

#[tokio::test]
async fn n17_a_branch_made_without_endpoints_has_no_compute() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let bare = branch(&test, &project, Value::Null).await;
    assert_eq!(bare.body["endpoints"], json!([]));
    assert!(bare.body.get("connection_uris").is_none());
    assert_eq!(bare.each("operations", "action"), ["create_branch"]);
    let path = format!("{}/branches/{}/endpoints", project.path, bare.text("/branch/id"));
    assert_eq!(test.get(&path).await.ok(200).body["endpoints"], json!([]));

    let body = json!({"endpoints": [{"type": "read_write"}, {"type": "read_only"}]});
    let full = branch(&test, &project, body).await;
    assert_eq!(full.each("endpoints", "type"), ["read_write", "read_only"]);
    assert_eq!(
        full.each("operations", "action"),
        ["create_branch", "start_compute", "start_compute"]
    );
    assert!(full.text("/connection_uris/0/connection_uri").contains(&project.password));
    let two = json!({"endpoints": [{"type": "read_write"}, {"type": "read_write"}]});
    test.post(&format!("{}/branches", project.path), two).await.ok(400);
    test.stop().await;
}

#[tokio::test]
async fn n13_a_branch_expires_by_the_clock() {
    let test = Test::start().await;
    let project = test.project(json!({})).await;
    let now = test.control("GET", "/clock", Value::Null).await.body["now_ms"].as_i64().unwrap();
    let at = ss_sandbox::clock::rfc3339(now + 60_000);
    let body = json!({"branch": {"name": "brief", "expires_at": at}});
    let brief = branch(&test, &project, body).await;
    assert_eq!(brief.text("/branch/expires_at"), at);
    let path = format!("{}/branches/{}", project.path, brief.text("/branch/id"));
    test.get(&path).await.ok(200);
    let never = json!({"branch": {"expires_at": null}});
    assert!(test.patch(&path, never).await.ok(200).body["branch"].get("expires_at").is_none());
    test.patch(&path, json!({"branch": {"expires_at": at}})).await.ok(200);
    test.patch(&project.branch, json!({"branch": {"expires_at": at}})).await.ok(422);
    test.advance(60_000).await;
    test.finish(&project.id).await;
    test.get(&path).await.refused(404, "", "branch not found");
    test.get(&project.branch).await.ok(200);
    test.stop().await;
}

#[tokio::test]
async fn n21_fresh_things_can_be_unreadable_for_a_moment() {
    let test = Test::start().await;
    test.settings(json!({"read_lag_ms": 2_000})).await;
    let project = Project::of(&test.new_project(json!({})).await);
    let role = format!("{}/roles/neondb_owner", project.branch);
    test.get(&project.path).await.refused(404, "", "project not found");
    test.get(&project.branch).await.refused(404, "", "branch not found");
    let text = format!(
        "role not found for branch; role_name:\"neondb_owner\", branch_id:{:?}",
        project.branch_id
    );
    test.get(&role).await.refused(404, "", &text);
    test.advance(2_000).await;
    for path in [&project.path, &project.branch, &role] {
        test.get(path).await.ok(200);
    }
    test.stop().await;
}
