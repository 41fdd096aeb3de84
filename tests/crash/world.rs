//! A project in a place of its own, its cloud, and the proxy between them.

use std::ffi::OsStr;
use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::canary::no_secret_is_left;
use crate::common::project::walkthrough;
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran, http};
use crate::proxy::{Fault, Proxy};

/// Longer than any run takes, so that one that hangs is a failure and not an endless test.
const RUN_MAX: Duration = Duration::from_secs(240);

/// What `ss` is tried in.
pub struct World<'p> {
    /// How long the cloud may take to show what was made.
    pub lag: Duration,
    pub place: &'p Place,
    pub sandbox: Sandbox<'p>,
    pub proxy: Proxy,
}

impl<'p> World<'p> {
    pub fn new(place: &'p Place) -> Self {
        let port = free_port();
        walkthrough(place, port);
        let sandbox = Sandbox::start(place, port, &place.path().join("sandbox.yaml"));
        let quick = json!({
            "fly": {"boot_ms": 20, "eager_check_ms": 100, "restart_delay_ms": 20, "rate_limits": false},
            "neon": {"route_requests_per_second": 0, "account_requests_per_minute": 0, "durations_ms": {
                "create_timeline": 10, "start_compute": 10, "suspend_compute": 10, "apply_config": 10, "delete_timeline": 10}},
        });
        sandbox.control("POST", "settings", &quick);
        let proxy = Proxy::start(port);
        let (overlay, to) = ("starsystem.sandbox.yaml", format!(":{}", proxy.port));
        place.edit(overlay, &format!(":{port}"), &to);
        let health = "      health_check_path: /health\n";
        let quick = format!(
            "{health}      health_check_interval: 1s\n      health_check_grace_period: 1s\n"
        );
        place.edit(overlay, health, &quick);
        Self { lag: Duration::ZERO, place, sandbox, proxy }
    }

    /// Replaces text above `_state`, which is not the user's to change.
    pub fn edit(&self, from: &str, to: &str) {
        let name = "starsystem.sandbox.yaml";
        let text = self.place.read(name);
        let (own, state) = text.split_at(text.find("\n_state:").unwrap_or(text.len()));
        assert!(own.contains(from), "{name} does not hold {from:?}:\n{own}");
        self.place.write(name, &(own.replace(from, to) + state));
    }

    /// Runs `ss` undisturbed.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Ran {
        self.disturbed(&[], arguments, None)
    }

    /// Runs `ss` below another program, with one of its requests spoiled.
    pub fn disturbed(
        &self,
        below: &[String],
        arguments: &[impl AsRef<OsStr>],
        fault: Option<(usize, Fault)>,
    ) -> Ran {
        self.proxy.expect(fault);
        let plain = self.place.command();
        let mut command = match below.split_first() {
            None => plain,
            Some((program, own)) => {
                let mut command = Command::new(program);
                command.args(own).arg(plain.get_program()).current_dir(self.place.path());
                command.env_clear().envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
                command
            }
        };
        // Files, so that nobody has to read while the run is watched; in the cloud's folder, which is not searched.
        let said = self.place.home().join("sandbox");
        let file = |name: &str| File::create(said.join(name)).expect("a file");
        command.args(arguments).stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let victim = Arc::new(Mutex::new(command.spawn().expect("it runs")));
        self.proxy.watch(&victim);
        let begun = Instant::now();
        let status = loop {
            let mut child = victim.lock().expect("no thread panicked");
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                break status;
            }
            if begun.elapsed() > RUN_MAX {
                let _ = child.kill();
            }
            drop(child);
            sleep(Duration::from_millis(5));
        };
        let text = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(said.join(name)).expect("a file")).into_owned()
        };
        Ran { code: status.code().unwrap_or(-1), stdout: text("out"), stderr: text("err") }
    }

    /// What the cloud answers to somebody with its tokens, past the proxy.
    pub fn ask(&self, method: &str, path: &str) -> Value {
        let answer = http::request_as(self.sandbox.port, method, path, Some("{}"), token(path))
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    /// The id of the only project.
    pub fn project(&self) -> String {
        let listed = self.ask("GET", "/neon/api/v2/projects");
        listed["projects"][0]["id"].as_str().expect("a project").to_owned()
    }

    /// Insists that there is what one undisturbed deploy makes, nothing else, and that it works.
    pub fn is_whole(&self, app: &str) {
        self.works(app);
        no_secret_is_left(self.place, "");
    }

    /// The same, wherever the state is.
    pub fn works(&self, app: &str) {
        sleep(self.lag);
        assert_eq!(self.sandbox.holds(), (1, 1, 1), "projects, apps, machines");
        let addresses = self.ask("GET", &format!("/fly/v1/apps/{app}/ip_assignments"));
        assert_eq!(addresses["ips"].as_array().map(Vec::len), Some(2), "{addresses}");
        let volumes = self.ask("GET", &format!("/fly/v1/apps/{app}/volumes"));
        assert_eq!(volumes, json!([]));
        let health = self.sandbox.get(&format!("/app/{app}/health"));
        assert_eq!(health.status, 200, "the app cannot reach its database: {}", health.body);
        let query = "database_name=neondb&role_name=neondb_owner&pooled=true";
        let path = format!("/neon/api/v2/projects/{}/connection_uri?{query}", self.project());
        let uri = self.ask("GET", &path)["uri"].as_str().expect("a URL").to_owned();
        let kept = self.run(&["vault", "get", "app-db.DATABASE_URL", "--env=sandbox"]).exits(0);
        assert_eq!(kept.stdout.trim_end(), uri, "the vault's DATABASE_URL is not the database's");
        self.run(&["deploy", "--env=sandbox"]).exits(0).says("Nothing to change: 2 unchanged");
        self.run(&["drift", "--env=sandbox"]).exits(0);
    }

    /// Insists that nothing is there, and that this is known.
    pub fn is_empty(&self) {
        assert_eq!(self.sandbox.holds(), (0, 0, 0), "projects, apps, machines");
        self.run(&["destroy", "--env=sandbox", "--yes=sandbox"]).exits(0).says("Nothing");
    }
}

fn token(path: &str) -> &'static str {
    if path.starts_with("/neon") { "sandbox-neon-key" } else { "sandbox-fly-token" }
}
