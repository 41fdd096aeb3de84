//! C2: injected faults, per route.

use serde_json::{Value, json};

use super::common::{KEY, Test};

const CREATE: &str = "POST /neon/api/v2/projects";

async fn names(test: &Test) -> Vec<String> {
    test.get("/projects").await.ok(200).each("projects", "name")
}

async fn create(test: &Test) -> Option<super::common::Answer> {
    let body = json!({"project": {"name": "p"}});
    test.client.neon_if_any(KEY, "POST", "/projects", body).await.ok()
}

#[tokio::test]
async fn c02_statuses_in_place_of_the_answer() {
    let test = Test::start().await;
    test.fault(json!([
        {"route": CREATE, "fault": {"status": 429}},
        {"route": CREATE, "fault": {"status": 429, "retry_after": 7}},
        {"route": CREATE, "fault": {"status": 500}},
        {"route": CREATE, "fault": {"status": 503}},
        {"route": CREATE, "fault": {"status": 200, "body": "<garbage", "content_type": "application/json"}},
        {"route": CREATE, "fault": {"status": 524}},
    ]))
    .await;
    let first = create(&test).await.unwrap().refused(429, "", "too many requests");
    assert!(!first.headers.contains_key("retry-after"));
    assert_eq!(create(&test).await.unwrap().ok(429).headers["retry-after"], "7");
    create(&test).await.unwrap().refused(500, "", "internal server error");
    create(&test).await.unwrap().refused(503, "", "service unavailable");
    let path = "/neon/api/v2/projects";
    let garbage = test.client.send(Some(KEY), "POST", path, &json!({}), &[]).await.unwrap().ok(200);
    assert_eq!(garbage.body, "<garbage");
    let page = create(&test).await.unwrap().ok(524);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.body, "<html>CloudFlare error page</html>");
    assert!(names(&test).await.is_empty());
    create(&test).await.unwrap().ok(201);
    assert_eq!(names(&test).await, ["p"]);
    test.stop().await;
}

#[tokio::test]
async fn c02_a_cut_before_leaves_nothing_and_a_cut_after_leaves_the_project() {
    let test = Test::start().await;
    test.fault(json!({"route": CREATE, "fault": "cut_before"})).await;
    assert!(create(&test).await.is_none());
    assert!(names(&test).await.is_empty());
    test.fault(json!({"route": CREATE, "fault": "cut_after"})).await;
    assert!(create(&test).await.is_none());
    assert_eq!(names(&test).await, ["p"]);
    let journal = test.journal().await;
    let posts: Vec<&Value> = journal.iter().filter(|it| it["method"] == "POST").collect();
    assert_eq!(posts.len(), 2);
    assert!(posts.iter().all(|it| it["status"].is_null()));
    assert_eq!(posts[1]["fault"], "cut_after");
    test.stop().await;
}

#[tokio::test]
async fn c02_an_ambiguous_status_leaves_the_project() {
    let test = Test::start().await;
    test.fault(json!({"route": CREATE, "fault": {"status": 500, "after": true}})).await;
    create(&test).await.unwrap().ok(500);
    assert_eq!(names(&test).await, ["p"]);
    test.stop().await;
}

#[tokio::test]
async fn c02_a_slow_answer_waits_for_the_clock() {
    let test = Test::start().await;
    test.fault(json!([
        {"route": CREATE, "fault": {"delay_ms": 30_000}},
        {"route": CREATE, "fault": {"delay_ms": 30_000, "after": true}},
    ]))
    .await;
    for existing in [0, 2] {
        let slow = tokio::spawn({
            let client = test.client.clone();
            let body = json!({"project": {"name": "p"}});
            async move { client.neon(KEY, "POST", "/projects", body).await.status }
        });
        // The request has arrived once the rule has fired.
        while test.control("GET", "/faults", Value::Null).await.body["faults"][existing / 2]["fired"]
            == 0
        {
            tokio::task::yield_now().await;
        }
        if existing > 0 {
            while names(&test).await.len() < existing {
                tokio::task::yield_now().await;
                test.advance(100).await;
            }
        } else {
            assert_eq!(names(&test).await.len(), existing);
        }
        assert!(!slow.is_finished());
        test.advance(30_000).await;
        assert_eq!(slow.await.unwrap(), 201);
    }
    test.stop().await;
}

#[tokio::test]
async fn c02_rules_skip_count_and_go_away() {
    let test = Test::start().await;
    let route = "GET /neon/api/v2/projects/{}";
    test.fault(json!({"route": route, "skip": 1, "times": 2, "fault": {"status": 503}})).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(test.get("/projects/a-1").await.status);
    }
    assert_eq!(seen, [404, 503, 503, 404, 404]);
    let listed = test.control("GET", "/faults", Value::Null).await.body;
    assert_eq!(listed["faults"][0]["seen"], 5);
    assert_eq!(listed["faults"][0]["fired"], 2);

    test.fault(json!({"route": route, "times": null, "fault": {"status": 503}})).await;
    test.get("/projects/a-1").await.ok(503);
    test.control("DELETE", "/faults", Value::Null).await.ok(204);
    test.get("/projects/a-1").await.ok(404);
    let wrong = [
        json!({"route": "/neon", "fault": "cut_before"}),
        json!({"route": CREATE, "fault": "cut_sideways"}),
        json!({"route": CREATE, "fault": {"status": 42}}),
        json!({"route": CREATE}),
    ];
    for rule in wrong {
        test.control("POST", "/faults", rule).await.ok(400);
    }
    test.stop().await;
}
