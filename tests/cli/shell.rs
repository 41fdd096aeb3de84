//! What a shell, a manual and a worried user get to see.

use std::process::Command;

use serde_json::Value;

use crate::common::project::{database, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

/// What a real bash completes for a line, with the script of `ss completions bash`.
fn bash(place: &Place, words: &[&str]) -> Vec<String> {
    let directory = env!("CARGO_BIN_EXE_ss").rsplit_once('/').expect("a directory").0;
    let script = r#"
        source <(ss completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        function=$(complete -p ss | sed -E 's/.*-F ([^ ]+).*/\1/')
        "$function" ss "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let path = format!("{directory}:{}", std::env::var("PATH").expect("a PATH"));
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).args(words).current_dir(place.path());
    bash.env("PATH", path).env("STARSYSTEM_HOME", place.home());
    let ran = Ran::of(bash.output().expect("bash runs")).exits(0);
    ran.stdout.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn bash_completes_commands_environments_services_and_deploys() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    assert!(bash(&place, &["ss", "des"]).contains(&"destroy".to_owned()));
    assert_eq!(bash(&place, &["ss", "plan", "--env", ""]), ["sandbox"]);
    assert_eq!(bash(&place, &["ss", "plan", "--service", "a"]), ["api", "app-db"]);
    assert_eq!(bash(&place, &["ss", "plan", "--service", "app"]), ["app-db"]);

    database(&place, port);
    let _sandbox = Sandbox::guard(&place, port);
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let listed = place.ss(["inspect", "--list", "--json"]).exits(0);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let id = listed["deploys"][0]["id"].as_str().expect("an id");
    assert_eq!(bash(&place, &["ss", "inspect", &id[..4]]), [id]);
    assert!(bash(&place, &["ss", "inspect", "zzzz"]).concat().is_empty());
}

#[test]
fn every_shell_has_a_script_and_a_stranger_is_told() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = place.ss(["completions", shell]).exits(0).stdout;
        assert!(script.contains("COMPLETE") && script.contains(shell), "{shell}:\n{script}");
    }
    place.ss(["completions", "tcsh"]).exits(2).says("fish");
}

#[test]
fn every_command_has_a_man_page() {
    let place = Place::new();
    place.ss(["man", "pages"]).exits(0);
    let help = place.ss(["--help"]).exits(0).stdout;
    let commands = help.split("Commands:").nth(1).expect("commands").split("\n\n").next();
    let mut count = 0;
    for line in commands.expect("a list").lines().filter(|line| line.starts_with("  ")) {
        let Some(name) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else {
            continue;
        };
        let name = name.split(' ').next().expect("a name");
        let page = place.read(&format!("pages/ss-{name}.1"));
        assert!(page.contains(".SH SYNOPSIS") && page.contains(name), "{page}");
        count += 1;
    }
    assert!(count > 10, "{help}");
}

#[test]
fn the_doctor_says_what_is_missing_and_what_is_well() {
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let doctor = || place.ss(["doctor", "--env=sandbox"]);
    doctor().exits(0).says("! neon.api_token: the vault has none").says("✓ home");

    place.ss(["vault", "set", "neon.api_token", "napi_wrong"]).exits(0);
    doctor().exits(1).says("✗ neon.api_token: `neon-api` cannot be reached");
    let sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let well =
        doctor().exits(0).says("✓ neon.api_token: accepted").says("✓ fly.api_token: accepted");
    assert!(well.stdout.contains("✓ project: my-app in sandbox, 2 services"), "{}", well.stdout);
    let asked = sandbox.requests();
    assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");

    let json = place.ss(["doctor", "--env=sandbox", "--json"]).exits(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["kind"], &json["checks"][0]["name"]), (&"doctor".into(), &"ss".into()));
    place.write("starsystem.sandbox.yaml", "version: \"2\"\nenvironment: prod\n");
    place.ss(["doctor", "--env=sandbox", "--offline"]).exits(1).says("✗ project");
}
