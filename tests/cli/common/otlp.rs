//! A real receiver of OTLP over HTTP, and what it received.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Place;
use super::tools::{script, tool};

/// Python with the official messages, on a port of its own; it ends with this value.
pub struct Receiver {
    child: Child,
    pub port: u16,
    output: PathBuf,
}

impl Receiver {
    /// `None` when there is no Python with the official messages.
    pub fn start(place: &Place) -> Option<Self> {
        let python = tool("python/bin/python")?;
        let output = place.path().join("otlp.jsonl");
        let mut child = Command::new(python)
            .arg(script("otlp_receiver.py"))
            .arg(&output)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a port");
        let port = line.trim().parse().expect("a port");
        Some(Self { child, port, output })
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests, in order.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// All spans of all requests.
    pub fn spans(&self) -> Vec<Value> {
        let of = |request: Value| request["spans"].as_array().expect("spans").clone();
        self.requests().into_iter().flat_map(of).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Ours; that it ended by itself is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
