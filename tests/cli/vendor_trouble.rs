//! What vendors and users do wrong: a good message, the right exit code, and nothing left inconsistent.

use serde_json::json;

use crate::common::Place;
use crate::common::project::{database, process, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};

const DEPLOY: [&str; 2] = ["deploy", "--env=sandbox"];

struct Scene {
    place: Place,
    port: u16,
}

impl Scene {
    fn new(write: impl FnOnce(&Place, u16)) -> Self {
        let (place, port) = (Place::new(), free_port());
        write(&place, port);
        Self { place, port }
    }

    fn sandbox(&self) -> Sandbox<'_> {
        Sandbox::start(&self.place, self.port, &self.place.path().join("sandbox.yaml"))
    }
}

#[test]
fn no_token_names_both_places_and_sends_nothing() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.edit("starsystem.sandbox.yaml", "environment: sandbox", "environment: prod");
    let text = place.read("starsystem.sandbox.yaml");
    let (head, services) = text.split_once("connections:").expect("connections");
    let services = services.split_once("services:").expect("services").1;
    place.write("starsystem.prod.yaml", &format!("{head}services:{services}"));
    place.edit(
        "starsystem.prod.yaml",
        "region: us-east-2",
        "region: us-east-2\n      credential_env: NEON_API_KEY",
    );
    let ran = place.ss(["deploy", "--env=prod"]).exits(1);
    ran.says("SS0511").says("NEON_API_KEY").says("ss vault set neon.api_token");
}

#[test]
fn a_wrong_token_is_caught_before_anything_is_made() {
    let scene = Scene::new(walkthrough);
    scene.place.edit(
        "starsystem.sandbox.yaml",
        "project_name: my-app",
        "project_name: my-app\n      credential_env: NEON_API_KEY",
    );
    let sandbox = scene.sandbox();
    let output = scene
        .place
        .command()
        .args(DEPLOY)
        .env("NEON_API_KEY", "napi_wrong")
        .output()
        .expect("runs");
    let ran = crate::common::Ran::of(output)
        .exits(1)
        .says("SS0512")
        .says("NEON_API_KEY")
        .says("ss vault set neon.api_token");
    assert!(!ran.stderr.contains("napi_wrong") && !ran.stdout.contains("napi_wrong"));
    assert!(
        sandbox.requests().iter().all(|request| request.starts_with("GET ")),
        "{:?}",
        sandbox.requests()
    );
    assert_eq!(sandbox.holds(), (0, 0, 0));
}

#[test]
fn a_token_without_rights_is_told_and_the_database_is_safe() {
    let scene = Scene::new(walkthrough);
    scene.place.edit(
        "starsystem.sandbox.yaml",
        "port: 3000",
        "port: 3000\n      credential_env: FLY_API_TOKEN",
    );
    let sandbox = scene.sandbox();
    let output = scene
        .place
        .command()
        .args(DEPLOY)
        .env("FLY_API_TOKEN", "sandbox-fly-readonly")
        .output()
        .expect("runs");
    let ran = crate::common::Ran::of(output).exits(1);
    ran.says("SS0311").says("recorded: 1 of 2").says("`app-db` safe").says("goes on at `api`");
    assert_eq!(sandbox.holds(), (1, 0, 0));
    scene.place.ss(DEPLOY).exits(0).says("Deploy complete: 1 provisioned");
    assert_eq!(sandbox.holds(), (1, 1, 1));
}

#[test]
fn an_unknown_organisation_is_told() {
    let scene = Scene::new(|place, port| process(place, port, "sleep 60"));
    scene.place.edit(
        "starsystem.sandbox.yaml",
        "app: my-app-api",
        "app: my-app-api\n      org: nobody",
    );
    let sandbox = scene.sandbox();
    scene.place.ss(DEPLOY).exits(1).says("nobody");
    assert_eq!(sandbox.holds().1, 0);
}

#[test]
fn a_taken_app_name_is_told_with_a_way_out() {
    let scene = Scene::new(|place, port| process(place, port, "sleep 60"));
    let sandbox = scene.sandbox();
    sandbox.control("POST", "settings", &json!({"fly": {"names_taken": ["my-app-api"]}}));
    scene.place.ss(DEPLOY).exits(1).says("my-app-api").says("app");
    assert_eq!(sandbox.holds().1, 0);
}

#[test]
fn an_image_that_crashes_fails_early_with_its_code_and_last_lines() {
    let scene = Scene::new(|place, port| process(place, port, "echo no such table: users; exit 3"));
    let _sandbox = scene.sandbox();
    scene.place.ss(DEPLOY).exits(1).says("exit code 3").says("no such table: users");
}

#[test]
fn an_image_that_never_gets_healthy_is_told_from_one_that_crashes() {
    let scene = Scene::new(|place, port| process(place, port, "sleep 600"));
    let _sandbox = scene.sandbox();
    scene.place.ss(DEPLOY).exits(1).says("health");
}

#[test]
fn an_unknown_region_is_told() {
    let scene = Scene::new(database);
    scene.place.edit("starsystem.sandbox.yaml", "region: us-east-2", "region: mars-north-1");
    let sandbox = scene.sandbox();
    scene.place.ss(DEPLOY).exits(1).says("mars-north-1");
    assert_eq!(sandbox.holds().0, 0);
}

#[test]
fn a_quota_is_told_as_the_vendors_decision() {
    let scene = Scene::new(database);
    let sandbox = scene.sandbox();
    sandbox.control("POST", "settings", &json!({"neon": {"projects_max": 0}}));
    scene.place.ss(DEPLOY).exits(1).says("SS0312").says("limit");
    assert_eq!(sandbox.holds().0, 0);
}

#[test]
fn a_storm_of_423_is_waited_out() {
    let scene = Scene::new(database);
    let sandbox = scene.sandbox();
    let body = json!({"code": "", "message": "project already has running conflicting operations, scheduling of new ones is prohibited"});
    sandbox.fault("POST /neon/api/v2/projects", 3, &json!({"status": 423, "body": body}));
    scene.place.ss(DEPLOY).exits(0);
    assert_eq!((sandbox.holds().0, sandbox.count("POST /neon/api/v2/projects")), (1, 4));
}

#[test]
fn a_storm_of_429_is_waited_out() {
    let scene = Scene::new(database);
    let sandbox = scene.sandbox();
    sandbox.fault("GET /neon/api/v2/projects", 2, &json!({"status": 429, "retry_after": 1}));
    sandbox.fault("POST /neon/api/v2/projects", 2, &json!({"status": 429, "retry_after": 1}));
    scene.place.ss(DEPLOY).exits(0);
    assert_eq!(sandbox.holds().0, 1);
}

#[test]
fn an_ambiguous_500_leaves_one_project() {
    let scene = Scene::new(database);
    let sandbox = scene.sandbox();
    sandbox.fault("POST /neon/api/v2/projects", 1, &json!({"status": 500, "after": true}));
    scene.place.ss(DEPLOY).exits(0);
    assert_eq!((sandbox.holds().0, sandbox.count("POST /neon/api/v2/projects")), (1, 1));
}

#[test]
fn a_cut_connection_leaves_one_project() {
    for cut in ["cut_before", "cut_after"] {
        let scene = Scene::new(database);
        let sandbox = scene.sandbox();
        sandbox.fault("POST /neon/api/v2/projects", 1, &json!(cut));
        scene.place.ss(DEPLOY).exits(0);
        assert_eq!(sandbox.holds().0, 1, "{cut}");
        scene.place.ss(DEPLOY).exits(0).says("Nothing to change: 1 unchanged");
    }
}

#[test]
fn garbage_instead_of_json_is_told_and_the_next_deploy_goes_on() {
    let scene = Scene::new(database);
    let sandbox = scene.sandbox();
    sandbox.fault(
        "GET /neon/api/v2/projects/{}/operations/{}",
        1,
        &json!({"status": 200, "body": "<html>oops", "content_type": "text/html"}),
    );
    scene.place.ss(DEPLOY).exits(1).says("app-db");
    scene.place.ss(DEPLOY).exits(0);
    assert_eq!(sandbox.holds().0, 1);
}

#[test]
fn a_failed_operation_is_told_and_the_project_is_kept() {
    let scene = Scene::new(database);
    let sandbox = scene.sandbox();
    sandbox.fault(
        "POST /neon/api/v2/projects",
        1,
        &json!({"operation": "error", "action": "start_compute"}),
    );
    scene.place.ss(DEPLOY).exits(1).says("start_compute");
    assert_eq!(sandbox.holds().0, 1);
    scene.place.ss(["inspect", "--env=sandbox", "--state"]).exits(0).says("resource_id");
}

#[test]
fn an_unreachable_database_shows_in_the_servers_last_lines() {
    let scene = Scene::new(walkthrough);
    let base = "version: \"2\"\nname: my-app\n\nservices:\n  api:\n    type: process\n    depends_on: []\n";
    scene.place.write("starsystem.yaml", base);
    let overlay = scene.place.read("starsystem.sandbox.yaml");
    let (head, api) = overlay.split_once("\n  api:").expect("an api");
    let head = head.split("\n  app-db:").next().expect("services");
    let api = api.replace(
        "NODE_ENV: production",
        "DATABASE_URL: postgresql://nobody@127.0.0.1:1/none?sslmode=disable",
    );
    scene
        .place
        .write("starsystem.sandbox.yaml", &format!("{head}\n  api:{api}      wait_timeout: 8s\n"));
    let _sandbox = scene.sandbox();
    scene.place.ss(DEPLOY).exits(1).says("database:");
}

#[test]
fn a_missing_postgres_is_told_by_the_sandbox() {
    let scene = Scene::new(database);
    let port = scene.port.to_string();
    let mut start = scene.place.command();
    start.args(["sandbox", "start", "--port", &port]).env("SS_SANDBOX_PG_BIN", "/nonexistent");
    crate::common::Ran::of(start.output().expect("runs")).exits(0);
    let sandbox = Sandbox::guard(&scene.place, scene.port);
    scene.place.ss(DEPLOY).exits(1).says("/nonexistent: no initdb in it");
    assert_eq!(sandbox.holds().0, 1);
}

#[test]
fn a_failed_service_blocks_only_what_stands_on_it() {
    let scene = Scene::new(walkthrough);
    let sandbox = scene.sandbox();
    sandbox.control("POST", "settings", &json!({"neon": {"projects_max": 0}}));
    let ran = scene.place.ss(["deploy", "--env=sandbox", "--json"]).exits(1);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    let status = |service: &str| {
        let services = report["services"].as_array().expect("services");
        services.iter().find(|found| found["service"] == service).expect("the service")["status"]
            .clone()
    };
    assert_eq!((status("app-db"), status("api")), (json!("failed"), json!("blocked")));
    assert_eq!(report["status"], json!("failed"));
    sandbox.control("POST", "settings", &json!({"neon": {"projects_max": 10}}));
    scene.place.ss(DEPLOY).exits(0).says("Deploy complete: 2 provisioned");
}
