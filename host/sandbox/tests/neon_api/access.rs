//! N1, N2, N19: keys, organisations, rate limits.

use serde_json::{Value, json};

use super::common::Test;

const WRONG: &str = "supplied credentials do not pass authentication";

#[tokio::test]
async fn n01_no_key_or_a_wrong_one_is_401() {
    let test = Test::start().await;
    let path = "/neon/api/v2/projects";
    let without = test.client.send(None, "GET", path, &Value::Null, &[]).await.unwrap();
    without.refused(401, "", WRONG);
    // A key of the vendor's own form does not belong here either.
    for key in ["", "garbage", "napi_0123456789abcdef", "sandbox-neon-keyring", "sandbox-neon-"] {
        test.client.neon(key, "GET", "/projects", Value::Null).await.refused(401, "", WRONG);
        test.client.neon(key, "GET", "/no/such/route", Value::Null).await.refused(401, "", WRONG);
    }
    let basic = [("authorization", "Basic c2FuZGJveC1uZW9uLWtleQ==")];
    let basic = test.client.send(None, "GET", path, &Value::Null, &basic).await.unwrap();
    basic.refused(401, "", WRONG);
    test.stop().await;
}

#[tokio::test]
async fn n01_the_request_id_is_the_clients_own() {
    let test = Test::start().await;
    let named = [("x-request-id", "mine-1")];
    let path = "/neon/api/v2/projects/absent-1";
    let refused = test
        .client
        .send(Some(super::common::KEY), "GET", path, &Value::Null, &named)
        .await
        .unwrap()
        .refused(404, "", "project not found");
    assert_eq!(refused.body["request_id"], "mine-1");
    let fresh: Vec<String> = [test.get("/projects/a-1").await, test.get("/projects/a-1").await]
        .iter()
        .map(|it| it.text("/request_id"))
        .collect();
    assert_ne!(fresh[0], fresh[1]);
    test.stop().await;
}

#[tokio::test]
async fn n02_a_personal_key_needs_an_organisation_and_an_org_key_infers_it() {
    let test = Test::start().await;
    let personal = "sandbox-neon-personal-key";
    let text = "org_id is required, you can find it on your organization settings page";
    let body = json!({"project": {"name": "a"}});
    test.client.neon(personal, "POST", "/projects", body.clone()).await.refused(400, "", text);
    test.client.neon(personal, "GET", "/projects", Value::Null).await.refused(400, "", text);

    let made = test.new_project(json!({"name": "by-org"})).await;
    let org = made.text("/project/org_id");
    let listed = test
        .client
        .neon(personal, "GET", &format!("/projects?org_id={org}"), Value::Null)
        .await
        .ok(200);
    assert_eq!(listed.each("projects", "name"), ["by-org"]);
    let body = json!({"project": {"name": "by-person", "org_id": org}});
    test.client.neon(personal, "POST", "/projects", body).await.ok(201);
    let other =
        test.client.neon(personal, "GET", "/projects?org_id=org-other-1", Value::Null).await;
    assert_eq!(other.status, 404);
    test.stop().await;
}

#[tokio::test]
async fn n02_a_scoped_key_reaches_its_own_project_only() {
    let test = Test::start().await;
    let own = test.project(json!({"name": "own"})).await;
    let other = test.project(json!({"name": "other"})).await;
    let key = format!("sandbox-neon-scoped-key:{}", own.id);
    test.client.neon(&key, "GET", &own.path, Value::Null).await.ok(200);
    let text = format!(
        "not allowed to perform actions outside the project this key is scoped to; \
         subject_project_id:{:?}",
        own.id
    );
    test.client.neon(&key, "GET", &other.path, Value::Null).await.refused(404, "", &text);
    test.client.neon(&key, "DELETE", &other.path, Value::Null).await.refused(404, "", &text);
    test.client.neon(&key, "GET", "/projects", Value::Null).await.refused(404, "", &text);
    test.get(&other.path).await.ok(200);
    test.stop().await;
}

#[tokio::test]
async fn n02_who_am_i_depends_on_the_key() {
    let test = Test::start().await;
    let personal = "sandbox-neon-personal-key-ci";
    let text = "not allowed for organization API keys";
    test.get("/users/me").await.refused(404, "", text);
    test.client.neon(personal, "GET", "/users/me", Value::Null).await.ok(200);
    let org = test.get("/users/me/organizations").await.ok(200).text("/organizations/0/id");
    assert_eq!(test.get(&format!("/organizations/{org}")).await.ok(200).text("/id"), org);
    assert_eq!(test.get("/auth").await.ok(200).text("/auth_method"), "api_key_org");
    let person = test.client.neon(personal, "GET", "/auth", Value::Null).await.ok(200);
    assert_eq!(person.text("/auth_method"), "api_key_user");
    test.stop().await;
}

#[tokio::test]
async fn n02_another_organisations_project_is_not_found() {
    let test = Test::start().await;
    let keys = json!([{"key": "theirs", "kind": "org", "org_id": "org-theirs-1"}]);
    test.settings(json!({"keys": keys})).await;
    let ours = test.project(json!({"name": "ours"})).await;
    let theirs = test.client.neon("theirs", "GET", &ours.path, Value::Null).await;
    theirs.refused(404, "", "project not found");
    let listed = test.client.neon("theirs", "GET", "/projects", Value::Null).await.ok(200);
    assert_eq!(listed.body["projects"], json!([]));
    test.stop().await;
}

#[tokio::test]
async fn n19_forty_a_second_and_route() {
    let test = Test::start().await;
    for _ in 0..40 {
        test.get("/projects").await.ok(200);
    }
    let limited = test.get("/projects").await.refused(429, "", "too many requests");
    assert_eq!(limited.headers["retry-after"], "1");
    // Another route has its own allowance, and time brings the first back.
    test.get("/regions").await.ok(200);
    test.advance(1_000).await;
    test.get("/projects").await.ok(200);
    test.stop().await;
}

#[tokio::test]
async fn n19_seven_hundred_a_minute_and_account() {
    let test = Test::start().await;
    test.settings(json!({"route_requests_per_second": 0, "retry_after": false})).await;
    for _ in 0..700 {
        test.get("/regions").await.ok(200);
    }
    let limited = test.get("/projects").await.refused(429, "", "too many requests");
    assert!(!limited.headers.contains_key("retry-after"));
    test.advance(60_000).await;
    test.get("/projects").await.ok(200);
    test.stop().await;
}
