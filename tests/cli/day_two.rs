//! `ss logs`, `ss exec` and `ss ssh` on what the real binary deployed.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::Place;
use crate::common::project::{process, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};

const SERVES: &str =
    "echo first line; echo second line; exec python3 -m http.server $PORT --bind 127.0.0.1";

fn deployed<'p>(place: &'p Place, command: &str) -> Sandbox<'p> {
    let port = free_port();
    process(place, port, command);
    place.edit("starsystem.sandbox.yaml", "health_check_path: /health", "health_check_path: /");
    let sandbox = Sandbox::guard(place, port);
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    sandbox
}

#[test]
fn logs_come_through_the_vendor_with_reads_only() {
    let place = Place::new();
    let sandbox = deployed(&place, SERVES);
    let before = sandbox.requests().len();
    let logs = place.ss(["logs", "api", "--env=sandbox"]).exits(0).stdout;
    let (first, second) = (logs.find("first line"), logs.find("second line"));
    assert!(first.is_some() && first < second, "{logs}");
    assert!(logs.lines().all(|line| line.starts_with("20")), "{logs}");
    let sent = sandbox.requests().split_off(before);
    assert!(
        sent.iter().all(|request| request == "GET /flyapi/api/v1/apps/my-app-api/logs"),
        "{sent:?}"
    );

    let shown: Value = serde_json::from_str(
        &place.ss(["logs", "api", "--env=sandbox", "--json", "-n", "2"]).exits(0).stdout,
    )
    .unwrap();
    assert_eq!((&shown["version"], &shown["kind"]), (&json!(1), &json!("logs")));
    assert_eq!(shown["lines"].as_array().unwrap().len(), 2);
    place.ss(["logs", "ap", "--env=sandbox"]).exits(1).says("SS0803").says("api");
}

#[test]
fn followed_logs_show_lines_as_they_come_and_each_once() {
    let place = Place::new();
    let sandbox = deployed(&place, SERVES);
    let mut command = place.command();
    command.args(["logs", "api", "--env=sandbox", "--follow"]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("second line")) {
        seen.push(lines.next().expect("a line").expect("text"));
    }
    // The server writes a line for each request it gets.
    sandbox.get("/app/my-app-api/marker-of-the-test");
    while !seen.iter().any(|line| line.contains("marker-of-the-test")) {
        seen.push(lines.next().expect("a line").expect("text"));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let firsts = seen.iter().filter(|line| line.contains("first line")).count();
    assert_eq!(firsts, 1, "{seen:?}");
}

#[test]
fn a_command_runs_in_the_machine_and_its_exit_code_is_ours() {
    let place = Place::new();
    let sandbox = deployed(&place, SERVES);
    let script = "echo out $0; echo err >&2; exit 7";
    let ran = place.ss(["exec", "api", "--env=sandbox", "--", "sh", "-c", script, "a b"]).exits(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out a b\n", "err\n"));
    // It is the machine's environment.
    let ran = place.ss(["exec", "api", "--env=sandbox", "--", "printenv", "NODE_ENV"]).exits(0);
    assert_eq!(ran.stdout, "production\n");
    let ran = place.ss(["exec", "api", "--env=sandbox", "--json", "--", "false"]).exits(1);
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&shown["kind"], &shown["exit_code"]), (&json!("exec"), &json!(1)));
    let posts = sandbox.requests().into_iter().filter(|request| request.ends_with("/exec")).count();
    assert_eq!(posts, 3);
    place.ss(["exec", "api", "--env=sandbox"]).exits(2);
    place.ss(["ssh", "api", "--env=sandbox"]).exits(1).says("SS0801").says("ss exec api");
}

#[test]
fn credentials_are_blanked_in_logs_and_a_database_offers_nothing() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    place.edit("starsystem.sandbox.yaml", "health_check_path: /health", "health_check_path: /");
    place.write(
        "sandbox.yaml",
        "images:\n  \"ghcr.io/me/my-app-api:latest\":\n    command: [sh, -c, \"echo it is $DATABASE_URL end; exec python3 -m http.server $PORT --bind 127.0.0.1\"]\n",
    );
    let _sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let password = place.database_password();
    let logs = place.ss(["logs", "api", "--env=sandbox"]).exits(0).stdout;
    assert!(logs.contains("it is ") && logs.contains(" end"), "{logs}");
    assert!(!logs.contains(&password), "the password is in the log");
    // What the user's own command prints is theirs.
    let own = place.ss(["exec", "api", "--env=sandbox", "--", "printenv", "DATABASE_URL"]).exits(0);
    assert!(own.stdout.contains(&password));
    for command in ["logs", "ssh"] {
        place.ss([command, "app-db", "--env=sandbox"]).exits(1).says("SS0801");
    }
    place.ss(["exec", "app-db", "--env=sandbox", "--", "true"]).exits(1).says("SS0801");
}

#[test]
fn a_crash_shows_its_last_lines_and_where_the_rest_is() {
    let place = Place::new();
    let port = free_port();
    process(&place, port, "echo the reason is written here; exit 7");
    let _sandbox = Sandbox::guard(&place, port);
    place
        .ss(["deploy", "--env=sandbox"])
        .exits(1)
        .says("the reason is written here")
        .says("ss logs api --env=sandbox");
    place.ss(["logs", "api", "--env=sandbox"]).exits(0).says("the reason is written here");
}
