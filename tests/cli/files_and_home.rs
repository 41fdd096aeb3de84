//! Trouble on this machine: files, homes, locks, ports and disks.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::project::{database, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

fn deployed(place: &Place) -> Sandbox<'_> {
    let port = free_port();
    database(place, port);
    let sandbox = Sandbox::start(place, port, &place.path().join("sandbox.yaml"));
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    sandbox
}

#[test]
fn a_port_in_use_is_told() {
    let place = Place::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    place.ss(["sandbox", "start", "--port", &port]).exits(1).says("SS0701").says(&port);
}

#[test]
fn no_home_is_told() {
    let place = Place::new();
    walkthrough(&place, 4400);
    let output = place
        .command()
        .args(["deploy", "--env=sandbox"])
        .env_remove("HOME")
        .env_remove("STARSYSTEM_HOME")
        .output();
    Ran::of(output.expect("runs")).exits(1).says("SS0406").says("STARSYSTEM_HOME");
}

#[test]
fn a_home_that_cannot_be_written_is_told_before_anything_is_made() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    place.write("a-file", "not a directory");
    let mut deploy = place.command();
    deploy.args(["deploy", "--env=sandbox"]).env("STARSYSTEM_HOME", place.path().join("a-file"));
    Ran::of(deploy.output().expect("runs")).exits(1).says("a-file");
    assert_eq!(sandbox.holds(), (0, 0, 0));
}

#[test]
fn a_second_run_is_told_who_holds_the_lock() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    sandbox.fault("POST /neon/api/v2/projects", 1, &json!({"delay_ms": 4000}));
    let mut first = place.command();
    let mut first = first
        .args(["deploy", "--env=sandbox"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let begun = Instant::now();
    while sandbox.count("POST /neon/api/v2/projects") == 0
        && begun.elapsed() < Duration::from_secs(20)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    place.ss(["deploy", "--env=sandbox"]).exits(5).says("SS0401").says("ss deploy --env=sandbox");
    assert!(first.wait().expect("ends").success());
    place.ss(["deploy", "--env=sandbox"]).exits(0).says("Nothing to change");
}

#[test]
fn a_killed_run_is_finished_by_the_next_without_a_second_project() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    // The project is made, and its answer is on the way when the run dies.
    sandbox.fault("POST /neon/api/v2/projects", 1, &json!({"delay_ms": 3000, "after": true}));
    let mut first = place.command();
    let mut first = first
        .args(["deploy", "--env=sandbox"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let begun = Instant::now();
    while sandbox.holds().0 == 0 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().expect("can be killed");
    first.wait().expect("ends");
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    // The sandbox does not count a request whose client died, so the second run sent none, or this is two.
    assert_eq!(sandbox.holds().0, 1);
    assert!(sandbox.count("POST /neon/api/v2/projects") <= 1);
    place.ss(["deploy", "--env=sandbox"]).exits(0).says("Nothing to change: 1 unchanged");
    place
        .ss(["vault", "get", "app-db.DATABASE_URL", "--env=sandbox"])
        .exits(0)
        .says("postgresql://");
    place.ss(["inspect", "--list", "--env=sandbox"]).exits(0).says("interrupted");
}

#[test]
fn a_missing_overlay_is_told_with_the_ones_there_are() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.ss(["plan", "--env=sandbx"]).exits(3).says("starsystem.sandbx.yaml").says("sandbox");
}

#[test]
fn an_overlay_for_another_environment_is_told() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.edit("starsystem.sandbox.yaml", "environment: sandbox", "environment: prod");
    place.ss(["plan", "--env=sandbox"]).exits(3).says("SS0206");
}

#[test]
fn a_cycle_is_told_with_its_way_round() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.edit("starsystem.yaml", "depends_on: []", "depends_on: [api]");
    place.ss(["plan", "--env=sandbox"]).exits(3).says("SS0222");
}

#[test]
fn an_unknown_target_type_shows_as_skip_and_stops_a_deploy() {
    let place = Place::new();
    walkthrough(&place, 4400);
    place.edit("starsystem.sandbox.yaml", "type: fly", "type: flyy");
    place.ss(["plan", "--env=sandbox"]).exits(0).says("skip").says("did you mean `fly`");
    place.ss(["deploy", "--env=sandbox"]).exits(3).says("SS0304").says("--allow-skip");
}

#[test]
fn a_damaged_vault_is_told_and_nothing_is_changed() {
    let place = Place::new();
    let sandbox = deployed(&place);
    let vault = place.home().join("vault/systems/my-app/sandbox.age");
    fs::write(&vault, "damaged").expect("written");
    let before = sandbox.requests().len();
    place.ss(["deploy", "--env=sandbox"]).exits(1).says("SS0501").says("sandbox.age");
    assert_eq!(sandbox.requests().len(), before);
}

#[test]
fn a_damaged_journal_is_told_and_nothing_is_changed() {
    let place = Place::new();
    let sandbox = deployed(&place);
    let journal = place.home().join("systems/my-app/sandbox/journal.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    fs::write(&journal, format!("{{\"sum\":\"0\"}}\n{text}{text}")).expect("written");
    let before = sandbox.requests().len();
    place.ss(["deploy", "--env=sandbox"]).exits(1).says("SS0404").says("journal.jsonl");
    assert_eq!(sandbox.requests().len(), before);
}

/// A small file system in a mount namespace of its own: full at first, then with room.
#[test]
fn a_full_disk_is_told_and_the_next_deploy_goes_on() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let systems = place.home().join("systems");
    fs::create_dir_all(&systems).expect("a folder");
    let script = "mount -t tmpfs -o size=1m none \"$1\" || exit 77
        head -c 1015808 /dev/zero > \"$1/filler\"
        \"$2\" deploy --env=sandbox; echo first=$?
        rm \"$1/filler\"
        \"$2\" deploy --env=sandbox; echo second=$?";
    let mut full = Command::new("unshare");
    full.args(["-r", "-m", "sh", "-c", script, "sh"]).arg(&systems).arg(env!("CARGO_BIN_EXE_ss"));
    full.current_dir(place.path()).env("HOME", place.path()).env("STARSYSTEM_HOME", place.home());
    let ran = Ran::of(full.output().expect("unshare runs"));
    if ran.code == 77 || ran.stderr.contains("unshare:") {
        eprintln!("skipped: no mount namespaces here: {}", ran.stderr);
        return;
    }
    ran.says("first=1").says("SS0405").says("second=0");
    assert_eq!(sandbox.holds().0, 1);
}

/// The project's directory is read-only: nothing can be recorded in the overlay, so nothing is made.
#[test]
fn a_read_only_project_is_told_before_anything_is_made() {
    let place = Place::new();
    let port = free_port();
    database(&place, port);
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let home = tempfile::tempdir().expect("a home");
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\" || exit 77
        \"$1\" deploy --env=sandbox; echo first=$?";
    let mut read_only = Command::new("unshare");
    read_only.args(["-r", "-m", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_ss")]);
    read_only.current_dir(place.path()).env("HOME", home.path());
    let ran =
        Ran::of(read_only.env("STARSYSTEM_HOME", home.path()).output().expect("unshare runs"));
    if ran.code == 77 || ran.stderr.contains("unshare:") {
        eprintln!("skipped: no mount namespaces here: {}", ran.stderr);
        return;
    }
    ran.says("first=1").says("starsystem.sandbox.yaml").says("SS0405");
    assert_eq!(sandbox.holds(), (0, 0, 0));

    let mut again = place.command();
    again.args(["deploy", "--env=sandbox"]).env("STARSYSTEM_HOME", home.path());
    Ran::of(again.output().expect("runs")).exits(0);
    assert_eq!(sandbox.holds().0, 1);
}
