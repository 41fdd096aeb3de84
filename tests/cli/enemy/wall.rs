//! The second wall: the process that runs a stranger's component, looked at from the outside while it runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use ss_selftest::{Ring, hostile};

use super::{ran, ring};
use crate::common::Place;

/// A deploy of a component that waits until its time is over.
fn waiting(ring: &Ring<'_>) -> Child {
    let grants = ring.grants().expect("files");
    let mut arguments = vec!["deploy", "--env=prod", "--json", "--call-timeout=60"];
    arguments.extend(grants.iter().map(String::as_str));
    ring.command(&arguments).spawn().expect("the binary runs")
}

/// A line of `/proc/PID/status`.
fn status(process: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Some(line?.trim().to_owned())
}

/// The processes of a deploy behind the wall.
fn walled(deploy: &Child) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let ours = deploy.id().to_string();
    ids.filter(|id: &u32| {
        let is_walled = || {
            let line = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split('\0').nth(1) == Some("__walled-component")
        };
        status(*id, "PPid").as_deref() == Some(&ours) && is_walled()
    })
    .collect()
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come to be");
        sleep(Duration::from_millis(20));
    }
}

/// Its processes when for a while nothing changes any more: one waits, the others have ended their calls.
fn quiet(deploy: &Child) -> Vec<u32> {
    let mut before = Vec::new();
    let mut since = Instant::now();
    until(|| {
        let now = walled(deploy);
        if now != before {
            (before, since) = (now, Instant::now());
        }
        (before.len() >= 2 && since.elapsed() > Duration::from_secs(3)).then(|| before.clone())
    })
}

#[test]
fn the_process_has_nothing_but_its_socket_and_its_death_is_one_services_failure() {
    let ring = ring("wall-killed", &hostile("greedy-sleeps"));
    let deploy = waiting(&ring);
    let processes = quiet(&deploy);
    for process in &processes {
        is_locked_in(*process);
    }
    // Those that wait for nothing are missed by nobody.
    processes.iter().copied().for_each(kill);
    let ran = ran(ring.ended(deploy)).exits(1);
    let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    for service in answer["services"].as_array().expect("services") {
        let expected = if service["service"] == "bad" { "failed" } else { "completed" };
        assert_eq!(service["status"], expected, "{service}");
    }
    ran.says("its process ended: signal: 9");
    let left = processes.iter().find(|process| PathBuf::from(format!("/proc/{process}")).exists());
    assert_eq!(left, None, "it was not waited for");
}

#[track_caller]
fn is_locked_in(process: u32) {
    assert_eq!(status(process, "NoNewPrivs").as_deref(), Some("1"));
    // All threads, not only the first.
    for thread in fs::read_dir(format!("/proc/{process}/task")).expect("threads").flatten() {
        let text = fs::read_to_string(thread.path().join("status")).expect("a thread");
        assert!(text.contains("Seccomp:\t2"), "{text}");
    }
    let environment = fs::read_to_string(format!("/proc/{process}/environ"));
    assert_eq!(environment.expect("ours to read"), "", "it was given an environment");
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("descriptors").flatten();
    for descriptor in open {
        let to = fs::read_link(descriptor.path()).unwrap_or_default();
        let to = to.to_string_lossy();
        let known = to.starts_with("socket:") || to == "/dev/null" || to.starts_with("/memfd:");
        assert!(known || to.is_empty(), "it holds {to} open");
    }
}

#[test]
fn nothing_of_it_is_left_when_the_deploy_is_killed() {
    let ring = ring("wall-orphan", &hostile("greedy-sleeps"));
    let mut deploy = waiting(&ring);
    let walled = quiet(&deploy);
    deploy.kill().expect("it can be killed");
    deploy.wait().expect("it ends");
    until(|| {
        // Nobody waits for them any more, except whoever takes over orphans.
        let lives = |id: &u32| status(*id, "State").is_some_and(|state| !state.starts_with('Z'));
        (!walled.iter().any(lives)).then_some(())
    });
}

#[test]
fn the_user_says_whether_there_is_a_wall() {
    let ring = ring("wall-off", &hostile("greedy-unreachable"));
    let grants = ring.grants().expect("files");
    let mut arguments = vec!["deploy", "--env=prod", "--json"];
    arguments.extend(grants.iter().map(String::as_str));
    let with = |wanted: &str| {
        let mut command = ring.command(&arguments);
        command.env("STARSYSTEM_WALL", wanted);
        ran(ring.ended(command.spawn().expect("the binary runs")))
    };
    with("perhaps").exits(2).says("STARSYSTEM_WALL is `perhaps`");
    with("required").exits(1).says("crashed");
    with("off").exits(1).says("crashed");
}

#[test]
fn the_doctor_builds_a_wall_and_tries_it() {
    let place = Place::new();
    let findings = |wanted: &str| {
        let mut command = place.command();
        command.args(["doctor", "--offline"]).env("STARSYSTEM_WALL", wanted);
        crate::common::Ran::of(command.output().expect("the binary runs"))
    };
    findings("on").says("✓ wall around plugins: Landlock and seccomp; 10 ways out were tried");
    findings("off").says("! wall around plugins: turned off");
    findings("perhaps").says("STARSYSTEM_WALL is `perhaps`; it may be");
}

fn kill(process: u32) {
    let sent = Command::new("kill").args(["-9", &process.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}
