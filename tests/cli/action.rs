//! The GitHub Action and the nightly workflow: their steps, read from the files and run as a runner would, with the real
//! binary on the sandbox. What only GitHub has (checkout, expressions, `gh`) is stood in for, and said where.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::project::process;
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

const SERVES: &str = "exec python3 -m http.server $PORT --bind 127.0.0.1";

fn yaml(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn system(place: &Place) -> Sandbox<'_> {
    let port = free_port();
    process(place, port, SERVES);
    place.edit("starsystem.sandbox.yaml", "health_check_path: /health", "health_check_path: /");
    Sandbox::guard(place, port)
}

/// A runner: its files, and what its expressions stand for.
struct Runner<'p> {
    place: &'p Place,
    values: BTreeMap<&'static str, String>,
}

impl<'p> Runner<'p> {
    fn new(place: &'p Place, values: &[(&'static str, &str)]) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_ss"));
        let bin = place.path().join("bin");
        std::fs::create_dir_all(&bin).expect("a folder");
        if !bin.join("ss").exists() {
            std::os::unix::fs::symlink(binary, bin.join("ss")).expect("a link");
        }
        // Stands in for GitHub's own client: it says what it was asked.
        place.write("bin/gh", "#!/bin/sh\necho \"$@\" > \"$RUNNER_TEMP/gh.txt\"\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("gh"), mode).expect("a mode");
        place.write("temp/summary.md", "");
        place.write("temp/output.txt", "");
        let values = values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { place, values }
    }

    /// A value with the expressions this runner knows; an unknown one is a failure.
    fn resolved(&self, text: &str) -> String {
        let Some(expression) = text.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}"))
        else {
            assert!(!text.contains("${{"), "{text}");
            return text.to_owned();
        };
        if let Some(name) = expression.strip_prefix("steps.run.outputs.") {
            return self.output(name);
        }
        self.values.get(expression).unwrap_or_else(|| panic!("{expression}")).clone()
    }

    fn output(&self, name: &str) -> String {
        let outputs = self.place.read("temp/output.txt");
        let line = outputs.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} in {outputs}")).to_owned()
    }

    /// Runs a step's script.
    fn run(&self, step: &Value) -> Ran {
        let script = step["run"].as_str().expect("a script");
        assert!(!script.contains("${{"), "text from outside stands in a script: {script}");
        let temp = self.place.path().join("temp");
        let mut path = std::ffi::OsString::from(self.place.path().join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        // As GitHub calls it.
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        let sealed = self.place.command();
        command.env_clear().current_dir(self.place.path());
        command.envs(sealed.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
            .env("PATH", path)
            .env("RUNNER_TEMP", &temp)
            .env("GITHUB_STEP_SUMMARY", temp.join("summary.md"))
            .env("GITHUB_OUTPUT", temp.join("output.txt"))
            .env("GITHUB_PATH", temp.join("path.txt"))
            .env("GITHUB_REPOSITORY", "someone/something");
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, self.resolved(value.as_str().expect("text")));
        }
        Ran::of(command.output().expect("bash runs"))
    }
}

/// One run of the action; gives the last step's end.
fn act(place: &Place, event: &str, comment: bool) -> (Ran, String) {
    let runner = Runner::new(
        place,
        &[
            ("github.action_path", "/nowhere"),
            ("github.event_name", event),
            ("github.event.pull_request.number", "7"),
            ("inputs.command", "auto"),
            ("inputs.directory", "."),
            ("inputs.environment", "sandbox"),
            ("inputs.token", "gh-token"),
        ],
    );
    let action = yaml("action.yml");
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let mut last = None;
    for step in steps {
        // The one condition, by hand.
        if step["if"].is_string() && !comment {
            continue;
        }
        let is_last = step["name"] == "Verdict";
        let ran = runner.run(step);
        last = Some(if is_last { ran } else { ran.exits(0) });
    }
    assert!(!place.path().join("temp/path.txt").exists(), "the binary that is there was not used");
    (last.expect("steps"), place.read("temp/summary.md"))
}

#[test]
fn the_action_plans_deploys_and_finds_drift() {
    let place = Place::new();
    let sandbox = system(&place);
    let (verdict, summary) = act(&place, "pull_request", true);
    verdict.exits(0);
    assert!(
        summary.starts_with("### ss plan, sandbox\n\n      + api  fly · will create"),
        "{summary}"
    );
    assert!(summary.contains("    Plan: 1 to create, 0 to update, 0 unchanged."), "{summary}");
    let asked = place.read("temp/gh.txt");
    assert!(asked.starts_with("pr comment 7 --repo someone/something --body-file "), "{asked}");

    let (verdict, summary) = act(&place, "push", false);
    verdict.exits(0);
    assert!(summary.contains("Deploy complete: 1 provisioned"), "{summary}");
    let (verdict, _) = act(&place, "schedule", false);
    verdict.exits(0);

    delete_app(sandbox.port);
    let (verdict, summary) = act(&place, "schedule", false);
    verdict.exits(4);
    assert!(summary.contains("gone") && summary.contains("Exit code 4."), "{summary}");

    place.edit("starsystem.yaml", "version: \"2\"", "version: \"3\"");
    act(&place, "push", false).0.exits(3);
}

#[test]
fn the_nightly_workflow_fails_when_something_drifted() {
    let place = Place::new();
    let sandbox = system(&place);
    place.ss(["deploy", "--env=sandbox"]).exits(0);
    let workflow = yaml("examples/ci/drift.yml");
    assert_eq!(workflow["on"]["schedule"][0]["cron"], "0 6 * * *");
    let steps = workflow["jobs"]["drift"]["steps"].as_array().expect("steps").clone();
    assert_eq!(steps[0]["uses"], "actions/checkout@v4");
    let runner = Runner::new(
        &place,
        &[
            ("secrets.NEON_API_KEY", "sandbox-neon-key"),
            ("secrets.FLY_API_TOKEN", "sandbox-fly-token"),
        ],
    );
    runner.run(&steps[1]).exits(0);
    let mut drift = steps[2].clone();
    let script = drift["run"].as_str().expect("a script");
    assert_eq!(script, "ss drift --env=prod --json");
    drift["run"] = script.replace("prod", "sandbox").into();

    // A fresh checkout: no home, no vault, only the two files and the tokens.
    place.edit(
        "starsystem.sandbox.yaml",
        "type: fly\n",
        "type: fly\n      credential_env: FLY_API_TOKEN\n",
    );
    std::fs::rename(place.home().join("systems"), place.path().join("systems-elsewhere"))
        .expect("a move");
    let ran = runner.run(&drift).exits(0);
    let shown: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(shown["drifted"], false);

    delete_app(sandbox.port);
    let ran = runner.run(&drift).exits(4);
    let shown: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        (&shown["drifted"], &shown["services"][0]["status"]),
        (&true.into(), &"gone".into())
    );
}

/// Somebody deletes the app behind our back.
fn delete_app(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the sandbox");
    let request = format!(
        "DELETE /fly/v1/apps/my-app-api?force=true HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer sandbox-fly-token\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}
