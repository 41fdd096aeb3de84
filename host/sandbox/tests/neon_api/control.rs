//! The control API and the door of the shell.

use serde_json::{Value, json};
use ss_sandbox::{Sandbox, ServeError};

use super::common::{KEY, Test, options};

#[tokio::test]
async fn status_tells_what_is_there() {
    let test = Test::start().await;
    test.project(json!({"name": "shop"})).await;
    let status = test.control("GET", "/status", Value::Null).await.ok(200).body;
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["neon"]["projects"], 1);
    assert_eq!(status["neon"]["endpoints"][0]["project"], "shop");
    assert_eq!(status["neon"]["postgres"]["found"], "off");
    let found = ss_sandbox::running(&test.folder()).unwrap().unwrap();
    assert_eq!(status["addr"], found.addr.to_string());
    let folder = test.folder();
    test.stop().await;
    assert_eq!(ss_sandbox::running(&folder).unwrap(), None);
}

#[tokio::test]
async fn control_is_not_for_web_pages_or_foreign_names() {
    let test = Test::start().await;
    let page = [("origin", "https://evil.example")];
    let path = "/_control/reset";
    test.client.send(None, "POST", path, &Value::Null, &page).await.unwrap().ok(403);
    let rebound = [("host", "evil.example:4400")];
    for path in ["/_control/status", "/neon/api/v2/projects"] {
        test.client.send(Some(KEY), "GET", path, &Value::Null, &rebound).await.unwrap().ok(403);
    }
    test.stop().await;
}

#[tokio::test]
async fn settings_are_merged_and_typos_refused() {
    let test = Test::start().await;
    test.settings(json!({"projects_max": 2})).await;
    let settings = test.control("GET", "/settings", Value::Null).await.ok(200).body;
    assert_eq!(settings["neon"]["projects_max"], 2);
    assert_eq!(settings["neon"]["branches_max"], 10);
    assert!(settings["fly"].is_object());
    for patch in [json!({"neon": {"projekts_max": 2}}), json!({"nein": {}}), json!(7)] {
        test.control("POST", "/settings", patch).await.ok(400);
    }
    test.stop().await;
}

#[tokio::test]
async fn time_does_not_go_back() {
    let test = Test::start().await;
    test.control("POST", "/clock", json!({"advance_ms": -1})).await.ok(400);
    let before = test.control("GET", "/clock", Value::Null).await.body["now_ms"].as_i64().unwrap();
    let after =
        test.control("POST", "/clock", json!({"advance_ms": 1_000})).await.body["now_ms"].as_i64();
    assert_eq!(after, Some(before + 1_000));
    test.stop().await;
}

#[tokio::test]
async fn shutdown_ends_serve() {
    let home = tempfile::tempdir().unwrap();
    let options = options(home.path());
    let dir = options.dir.clone();
    let served = tokio::spawn(ss_sandbox::serve(options, std::future::pending()));
    let running = loop {
        if let Some(running) = ss_sandbox::running(&dir).unwrap() {
            break running;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let client = super::common::Client::new(&format!("http://{}", running.addr));
    let asked = client.send(None, "POST", "/_control/shutdown", &Value::Null, &[]).await.unwrap();
    assert_eq!(asked.status, 202);
    served.await.unwrap().unwrap();
    assert_eq!(ss_sandbox::running(&dir).unwrap(), None);
}

#[tokio::test]
async fn refuses_to_be_reached_by_others_and_to_share_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let mut everywhere = options(home.path());
    everywhere.addr = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Sandbox::start(everywhere).await, Err(ServeError::NotLoopback(_))));
    let first = Sandbox::start(options(home.path())).await.unwrap();
    let second = Sandbox::start(options(home.path())).await;
    assert!(matches!(second, Err(ServeError::Taken(_))));
    first.stop().await;
    Sandbox::start(options(home.path())).await.unwrap().stop().await;
}

#[tokio::test]
async fn both_vendors_are_behind_one_port_and_reset_together() {
    let test = Test::start().await;
    let token = Some(ss_sandbox::fly::TOKEN);
    let body = json!({"name": "one-port", "org_slug": "personal"});
    let made = test.client.send(token, "POST", "/fly/v1/apps", &body, &[]).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let status = test.control("GET", "/status", Value::Null).await.ok(200).body;
    assert_eq!(status["fly"], json!({"apps": 1, "machines": []}));
    let log = "/flyapi/api/v1/apps/one-port/logs";
    test.client.send(token, "GET", log, &Value::Null, &[]).await.unwrap().ok(200);
    let app = "/app/one-port/health";
    test.client.send(None, "GET", app, &Value::Null, &[]).await.unwrap().ok(503);
    let nowhere = test.client.send(token, "GET", "/elsewhere", &Value::Null, &[]).await.unwrap();
    assert_eq!(nowhere.ok(404).body, "404 page not found\n");
    let paths: Vec<Value> = test.journal().await.iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/fly/v1/apps", log, app, "/elsewhere"]);

    test.control("POST", "/settings", json!({"fly": {"apps_max": 9}})).await.ok(200);
    test.control("POST", "/reset", Value::Null).await.ok(204);
    let status = test.control("GET", "/status", Value::Null).await.ok(200).body;
    assert_eq!(status["fly"]["apps"], 0);
    let settings = test.control("GET", "/settings", Value::Null).await.ok(200).body;
    assert_eq!(settings["fly"]["apps_max"], Value::Null);
    test.client.send(token, "POST", "/fly/v1/apps", &body, &[]).await.unwrap().ok(201);
    test.stop().await;
}

#[tokio::test]
async fn faults_and_cuts_reach_the_other_vendor_too() {
    let test = Test::start().await;
    let token = Some(ss_sandbox::fly::TOKEN);
    let route = "POST /fly/v1/apps";
    test.fault(json!([
        {"route": route, "fault": {"status": 503}},
        {"route": route, "fault": "cut_after"},
    ]))
    .await;
    let body = json!({"name": "cut-off", "org_slug": "personal"});
    let refused =
        test.client.send(token, "POST", "/fly/v1/apps", &body, &[]).await.unwrap().ok(503);
    assert_eq!(refused.body, json!({"error": "service unavailable"}));
    assert!(test.client.send(token, "POST", "/fly/v1/apps", &body, &[]).await.is_err());
    let path = "/fly/v1/apps/cut-off";
    test.client.send(token, "GET", path, &Value::Null, &[]).await.unwrap().ok(200);
    test.stop().await;
}
