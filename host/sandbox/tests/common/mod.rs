//! What the tests of the local Neon stand on: a sealed sandbox, a client, the vendor's document.

mod client;
mod openapi;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use ss_sandbox::postgres::Choice;
use ss_sandbox::{Options, Sandbox};
use tempfile::TempDir;

pub use client::{Answer, Client};
pub use openapi::checked_operations;

/// The key of the sandbox's own organisation.
pub const KEY: &str = "sandbox-neon-key";

/// A sandbox in a folder of its own. Time stands still unless the options say otherwise.
pub struct Test {
    pub client: Client,
    sandbox: Sandbox,
    options: Options,
    home: TempDir,
}

/// Without Postgres, on a free port, with a standing clock.
pub fn options(home: &Path) -> Options {
    Options {
        addr: "127.0.0.1:0".parse().unwrap(),
        postgres: Choice::Off,
        speed: 0.0,
        cache: cache(),
        ..Options::new(home.join("sandbox"))
    }
}

/// Shared between test runs: the template is made once.
pub fn cache() -> PathBuf {
    std::env::temp_dir().join("ss-sandbox-tests")
}

impl Test {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut options = options(home.path());
        change(&mut options);
        let sandbox = Sandbox::start(options.clone()).await.unwrap();
        Self { client: Client::new(&sandbox.base_url()), sandbox, options, home }
    }

    /// Stops it and starts it again on the same folder.
    pub async fn restart(self) -> Self {
        let Self { sandbox, options, home, .. } = self;
        sandbox.stop().await;
        let sandbox = Sandbox::start(options.clone()).await.unwrap();
        Self { client: Client::new(&sandbox.base_url()), sandbox, options, home }
    }

    pub async fn stop(self) {
        self.sandbox.stop().await;
    }

    pub fn folder(&self) -> PathBuf {
        self.home.path().join("sandbox")
    }

    /// Calls the API with the default key.
    pub async fn neon(&self, method: &str, path: &str, body: Value) -> Answer {
        self.client.neon(KEY, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.neon("GET", path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.neon("POST", path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.neon("PATCH", path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.neon("DELETE", path, Value::Null).await
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Answer {
        self.client.send(None, method, &format!("/_control{path}"), &body, &[]).await.unwrap()
    }

    /// Lets time pass.
    pub async fn advance(&self, ms: i64) {
        let moved = self.control("POST", "/clock", json!({"advance_ms": ms})).await;
        assert_eq!(moved.status, 200, "{moved:?}");
    }

    pub async fn settings(&self, patch: Value) {
        let changed = self.control("POST", "/settings", json!({"neon": patch})).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }

    pub async fn fault(&self, rule: Value) {
        let installed = self.control("POST", "/faults", rule).await;
        assert_eq!(installed.status, 201, "{installed:?}");
    }

    pub async fn journal(&self) -> Vec<Value> {
        let journal = self.control("GET", "/journal", Value::Null).await;
        journal.body["entries"].as_array().unwrap().clone()
    }

    /// A project whose operations have not run yet.
    pub async fn new_project(&self, fields: Value) -> Answer {
        self.post("/projects", json!({"project": fields})).await.ok(201)
    }

    /// A project that is ready.
    pub async fn project(&self, fields: Value) -> Project {
        let made = self.new_project(fields).await;
        self.finish(&made.text("/project/id")).await;
        Project::of(&made)
    }

    /// Lets time pass until nothing is going on in the project any more.
    pub async fn finish(&self, project_id: &str) {
        for _ in 0..200 {
            let listed = self.get(&format!("/projects/{project_id}/operations")).await.ok(200);
            let open = |it: &Value| matches!(it["status"].as_str(), Some("scheduling" | "running"));
            if !listed.body["operations"].as_array().unwrap().iter().any(open) {
                return;
            }
            self.advance(500).await;
            // A running clock is not moved by much; give it a moment.
            if self.options.speed > 0.0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        panic!("operations of {project_id} never end");
    }
}

/// What a test needs to know of a project.
#[derive(Clone, Debug)]
pub struct Project {
    pub path: String,
    pub branch: String,
    pub branch_id: String,
    pub endpoint: String,
    pub id: String,
    pub uri: String,
    pub password: String,
}

impl Project {
    pub fn of(made: &Answer) -> Self {
        let id = made.text("/project/id");
        let path = format!("/projects/{id}");
        let branch_id = made.text("/branch/id");
        Self {
            branch: format!("{path}/branches/{branch_id}"),
            branch_id,
            endpoint: format!("{path}/endpoints/{}", made.text("/endpoints/0/id")),
            uri: made.text("/connection_uris/0/connection_uri"),
            password: made.text("/roles/0/password"),
            path,
            id,
        }
    }
}
