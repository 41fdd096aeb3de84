//! One sandbox per test: its own folder, port and clock, and a client that checks what it reads.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use ss_sandbox::clock::{Clock, wall_ms};
use ss_sandbox::fly::{self, Fly};
use ss_sandbox::sandbox_yaml::Images;
use tempfile::TempDir;

use crate::spec::Spec;

/// The program the images run.
pub const APP: &str = env!("CARGO_BIN_EXE_sandbox-test-app");

/// A running local Fly.
pub struct World {
    pub fly: Fly,
    pub clock: Clock,
    pub dir: TempDir,
    pub base: String,
    pub token: String,
    client: Client<HttpConnector, Body>,
    spec: Option<Spec>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

/// The images every test can use.
pub fn images() -> Images {
    let text = format!(
        r#"
images:
  "api:v1": {{ command: ["{APP}"], env: {{ VERSION: v1, OWN: image }} }}
  "api:v2": {{ command: ["{APP}"], env: {{ VERSION: v2 }} }}
  "api:sick": {{ command: ["{APP}"], env: {{ SICK: 1 }} }}
  "crash": {{ command: ["sh", "-c", "echo going down >&2; exit 3"] }}
  "done": {{ command: ["sh", "-c", "exit 0"] }}
  "stubborn": {{ command: ["sh", "-c", "trap '' INT TERM; echo ready; while :; do sleep 0.02; done"] }}
  "family": {{ command: ["sh", "-c", "sleep 600 & exec {APP}"] }}
"#
    );
    Images::from_text(text, "/")
}

impl World {
    /// Real time, no rate limits, a short boot.
    pub async fn new() -> Self {
        Self::with_clock(Clock::real()).await
    }

    /// Time that moves by `advance` alone.
    pub async fn standing() -> Self {
        Self::with_clock(Clock::scaled(wall_ms(), 0.0)).await
    }

    async fn with_clock(clock: Clock) -> Self {
        let dir = TempDir::new().unwrap();
        let world = Self::open(dir, clock, images()).await;
        world.set(json!({ "rate_limits": false, "boot_ms": 20, "restart_delay_ms": 10, "eager_check_ms": 20 }));
        world
    }

    pub async fn open(dir: TempDir, clock: Clock, images: Images) -> Self {
        let fly = Fly::open(dir.path(), clock.clone(), images).unwrap();
        let base = serve(&fly).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            fly,
            clock,
            dir,
            base,
            token: format!("Bearer {}", fly::TOKEN),
            client,
            spec: Spec::load(),
        }
    }

    pub fn set(&self, settings: Value) {
        self.fly.set_settings(&settings).unwrap();
    }

    /// Any request; a body of null is none.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let own = headers.iter().any(|(name, _)| *name == "authorization");
        if !own && !self.token.is_empty() {
            request = request.header("authorization", &self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.client.request(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes: Bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let reply = Reply { status: parts.status, headers: parts.headers, text, body };
        self.check(method, path, &reply);
        reply
    }

    fn check(&self, method: &str, path: &str, reply: &Reply) {
        let (Some(spec), Some(below)) = (&self.spec, path.strip_prefix("/fly/v1")) else { return };
        if self.fly.settings()["quirks"] == true {
            return;
        }
        let wrong = spec.check(method, below, reply.status.as_u16(), &reply.text, &reply.body);
        assert!(wrong.is_empty(), "{method} {path} {}: {wrong:#?}\n{}", reply.status, reply.text);
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", &format!("/fly/v1{path}"), &Value::Null, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", &format!("/fly/v1{path}"), &body, &[]).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", &format!("/fly/v1{path}"), &Value::Null, &[]).await
    }

    /// A request with a lease nonce.
    pub async fn leased(&self, method: &str, path: &str, body: Value, nonce: &str) -> Reply {
        let headers = [("fly-machine-lease-nonce", nonce)];
        self.send(method, &format!("/fly/v1{path}"), &body, &headers).await
    }

    /// An app called `name` with a public address.
    pub async fn app(&self, name: &str) {
        self.post("/apps", json!({ "name": name, "org_slug": "personal" })).await.is(201);
        let ip = json!({ "type": "shared_v4" });
        self.post(&format!("/apps/{name}/ip_assignments"), ip).await.is(200);
    }

    /// A machine of `app`; its path below `/fly/v1`.
    pub async fn machine(&self, app: &str, body: Value) -> String {
        let reply = self.post(&format!("/apps/{app}/machines"), body).await.is(200);
        format!("/apps/{app}/machines/{}", reply.str("id"))
    }

    /// A machine of `app` that has started.
    pub async fn started(&self, app: &str, body: Value) -> String {
        let path = self.machine(app, body).await;
        self.reach(&path, "started").await;
        path
    }

    /// Waits until the machine is in `state`.
    pub async fn reach(&self, path: &str, state: &str) -> Reply {
        self.get(&format!("{path}/wait?state={state}&timeout=60")).await.is(200)
    }

    /// Looks at the machine until `wanted` holds.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_500 {
            let body = self.get(path).await.body;
            if wanted(&body) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} never got there: {:#}", self.get(path).await.body);
    }

    /// Drives `wish` to its end while the clock jumps by `step_ms` again and again.
    pub async fn passing<T>(&self, step_ms: i64, wish: impl Future<Output = T>) -> T {
        let moving = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.clock.advance(step_ms);
            }
        };
        tokio::select! {
            reached = wish => reached,
            () = moving => unreachable!("time goes on for ever"),
        }
    }

    /// Waits until a machine of `app` has printed `message`.
    pub async fn said(&self, app: &str, message: &str) {
        let path = format!("/flyapi/api/v1/apps/{app}/logs");
        let told = |line: &Value| line["attributes"]["message"] == message;
        for _ in 0..1_500 {
            let reply = self.send("GET", &path, &Value::Null, &[]).await.is(200);
            if reply.body["data"].as_array().unwrap().iter().any(told) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{app} never said {message}");
    }

    /// Asks the app itself, through the proxy.
    pub async fn visit(&self, app: &str, path: &str) -> Reply {
        self.send("GET", &format!("/app/{app}{path}"), &Value::Null, &[]).await
    }

    /// Visits until the app answers.
    pub async fn visit_up(&self, app: &str, path: &str) -> Reply {
        for _ in 0..1_500 {
            let reply = self.visit(app, path).await;
            if reply.status == StatusCode::OK {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{app} never answered");
    }

    /// Ends the processes and hands back the folder.
    pub async fn close(self) -> TempDir {
        self.fly.shutdown().await;
        self.dir
    }
}

/// Serves `fly` on a free loopback port, mounted as in the sandbox.
pub async fn serve(fly: &Fly) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .nest("/fly/v1", fly::router(fly.clone()))
        .nest("/flyapi", fly::platform_router(fly.clone()))
        .nest_service("/app/{app}", fly::app_router(fly.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

impl Reply {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The refusal `text`.
    #[track_caller]
    pub fn says(self, status: u16, text: &str) -> Self {
        let reply = self.is(status);
        assert_eq!(reply.body["error"], text, "{}", reply.text);
        reply
    }

    #[track_caller]
    pub fn str(&self, field: &str) -> String {
        self.body[field]
            .as_str()
            .unwrap_or_else(|| panic!("no {field} in {}", self.text))
            .to_owned()
    }
}

/// A machine of image `image` with one service on 8080 checked at `/health`.
pub fn service(image: &str) -> Value {
    json!({ "config": service_config(image) })
}

/// The configuration of [`service`].
pub fn service_config(image: &str) -> Value {
    json!({
        "image": image,
        "restart": { "policy": "no" },
        "services": [{
            "protocol": "tcp", "internal_port": 8080,
            "ports": [{ "port": 443, "handlers": ["tls", "http"] }],
            "checks": [{ "type": "http", "path": "/health", "interval": "1s", "timeout": "5s" }],
        }],
    })
}

/// A machine of image `image` and nothing else.
pub fn plain(image: &str) -> Value {
    json!({ "config": { "image": image, "restart": { "policy": "no" } } })
}

/// The value of variable `name` in the environment of the app's only machine.
pub async fn variable(world: &World, app: &str, name: &str) -> Option<String> {
    let env = world.visit_up(app, "/env").await.text;
    let found = env.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    found.map(str::to_owned)
}

/// Whether a process with this id exists.
pub fn exists(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
