//! A sandbox of the test's own, on a port of its own, stopped when the test is over.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use serde_json::Value;

use super::Place;
use super::http::{self, Answer};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Stops the sandbox of a place when dropped.
pub struct Sandbox<'p> {
    place: &'p Place,
    pub port: u16,
}

impl<'p> Sandbox<'p> {
    /// Starts one.
    pub fn start(place: &'p Place, port: u16, images: &Path) -> Self {
        let port_text = port.to_string();
        let images = images.to_str().expect("a path in UTF-8");
        place.ss(["sandbox", "start", "--port", &port_text, "--config", images]).exits(0);
        Self { place, port }
    }

    /// Takes charge of one that `ss deploy` started or will start.
    pub fn guard(place: &'p Place, port: u16) -> Self {
        Self { place, port }
    }

    pub fn get(&self, path: &str) -> Answer {
        http::get(self.port, path)
    }

    /// `/_control/…` with a JSON body.
    #[track_caller]
    pub fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer =
            http::request(self.port, method, &format!("/_control/{path}"), Some(&body.to_string()))
                .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    /// A request to the vendors' own API, as somebody with a token and a browser would make it. Waits while Neon works.
    #[track_caller]
    pub fn vendor(&self, method: &str, path: &str, body: &Value) -> Value {
        let token =
            if path.starts_with("/neon") { "sandbox-neon-key" } else { "sandbox-fly-token" };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        for _ in 0..200 {
            let answer = http::request_as(self.port, method, path, Some(&body), token)
                .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
            match answer.status {
                423 | 429 => std::thread::sleep(std::time::Duration::from_millis(50)),
                200..300 => return serde_json::from_str(&answer.body).unwrap_or(Value::Null),
                _ => panic!("{method} {path}: {answer:?}"),
            }
        }
        panic!("{method} {path}: still busy")
    }

    /// Lifts the limits on how often may be asked: for tests that run the binary more often than a person would.
    pub fn without_limits(&self) {
        let settings = serde_json::json!({
            "fly": {"rate_limits": false},
            "neon": {"account_requests_per_minute": 1_000_000, "route_requests_per_second": 100_000},
        });
        self.control("POST", "settings", &settings);
    }

    /// The requests that arrived, oldest first: `METHOD path`.
    pub fn requests(&self) -> Vec<String> {
        let journal = self.control("GET", "journal", &Value::Null);
        let entries = journal["entries"].as_array().expect("the journal is a list");
        entries
            .iter()
            .filter(|entry| !entry["path"].as_str().unwrap_or_default().starts_with("/_control"))
            .map(|entry| {
                format!(
                    "{} {}",
                    entry["method"].as_str().unwrap_or("?"),
                    entry["path"].as_str().unwrap_or("?")
                )
            })
            .collect()
    }

    /// Injects a fault on a route, `times` times.
    #[track_caller]
    pub fn fault(&self, route: &str, times: u32, fault: &Value) {
        self.control(
            "POST",
            "faults",
            &serde_json::json!({"route": route, "times": times, "fault": fault}),
        );
    }

    /// How many requests of a method and path arrived.
    pub fn count(&self, request: &str) -> usize {
        self.requests().iter().filter(|found| *found == request).count()
    }

    /// How many projects, apps and machines there are.
    pub fn holds(&self) -> (u64, u64, u64) {
        let status = self.control("GET", "status", &Value::Null);
        let apps = status["fly"]["apps"].as_u64().expect("a number of apps");
        let machines =
            status["fly"]["machines"].as_array().map_or(0, |machines| machines.len() as u64);
        (status["neon"]["projects"].as_u64().expect("a number of projects"), apps, machines)
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        // Also after a failed test: nothing may be left running.
        let port = self.port.to_string();
        let _ = self.place.command().args(["sandbox", "stop", "--port", &port]).output();
    }
}
