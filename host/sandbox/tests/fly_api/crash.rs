//! The sandbox itself dies, by `kill -9` and by shutdown; what it knew and ran is there again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use ss_sandbox::clock::Clock;

use crate::support::{APP, World, exists, images, plain, service, variable};

/// A sandbox in a process of its own; killed when dropped.
struct Host {
    child: Child,
    base: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn host(dir: &Path) -> Host {
    let mut child = Command::new(APP).arg("host").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
    let mut base = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut base).unwrap();
    Host { child, base: base.trim().to_owned() }
}

#[tokio::test]
async fn after_kill_9_the_state_is_there_the_orphans_are_gone_and_machines_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(tempfile::tempdir().unwrap(), Clock::real(), images()).await;
    let host = host(dir.path());
    world.base = host.base.clone();
    world.app("a").await;
    world.post("/apps/a/secrets/TOKEN", json!({ "value": "kept" })).await.is(201);
    let running = world.started("a", service("family")).await;
    let stopped = world.started("a", plain("api:v1")).await;
    world.post(&format!("{stopped}/stop"), json!({})).await.is(200);
    world.reach(&stopped, "stopped").await;
    let processes = world.get(&format!("{running}/ps")).await.is(200).body;
    let pids: Vec<String> =
        processes.as_array().unwrap().iter().map(|process| process["pid"].to_string()).collect();
    let version = world.get(&running).await.str("version");
    drop(host);
    assert!(pids.len() >= 2 && pids.iter().all(|pid| exists(pid)), "orphans outlive the sandbox");
    world.fly.shutdown().await;

    let world = World::open(dir, Clock::real(), images()).await;
    assert!(pids.iter().all(|pid| !exists(pid)), "and not the next start");
    world.set(json!({ "rate_limits": false, "eager_check_ms": 20 }));
    world.reach(&running, "started").await;
    assert_eq!(world.get(&running).await.str("version"), version);
    assert_eq!(world.get(&stopped).await.str("state"), "stopped");
    assert_eq!(variable(&world, "a", "TOKEN").await.as_deref(), Some("kept"));
    world.close().await;
}

#[tokio::test]
async fn shutdown_leaves_no_process_and_a_new_start_brings_them_back() {
    let world = World::new().await;
    world.app("a").await;
    let path = world.started("a", service("family")).await;
    let stubborn = world.started("a", plain("stubborn")).await;
    let suspended = world.started("a", plain("api:v1")).await;
    world.post(&format!("{suspended}/suspend"), Value::Null).await.is(200);
    world.reach(&suspended, "suspended").await;
    let mut pids = Vec::new();
    for path in [&path, &stubborn] {
        let processes = world.get(&format!("{path}/ps")).await.body;
        pids.extend(processes.as_array().unwrap().iter().map(|process| process["pid"].to_string()));
    }
    let dir = world.close().await;
    assert!(!pids.is_empty() && pids.iter().all(|pid| !exists(pid)));
    let world = World::open(dir, Clock::real(), images()).await;
    world.reach(&path, "started").await;
    world.visit_up("a", "/").await;
    assert_eq!(world.get(&suspended).await.str("state"), "suspended");
    world.post(&format!("{suspended}/start"), Value::Null).await.is(200);
    world.reach(&suspended, "started").await;
    world.close().await;
}
