//! `docs/walkthrough.md`, executed: every `$ command` of the page in its order, against the sandbox, and every line it
//! prints compared with the page. Only what differs from machine to machine is put into the page's words first.

use std::process::Command;

use crate::common::project::{example, walkthrough};
use crate::common::sandbox::{Sandbox, free_port};
use crate::common::{Place, Ran};

/// What the page says where a run says something of its own.
const PAGE_URL: &str = "https://my-app-api.fly.dev";
const PAGE_DEPLOY: &str = "ed060a44-5f97-461c-8ff6-3d8cae953092";
const PAGE_PROJECT: &str = "my-app-quiet-mountain-1234";
const PAGE_DATABASE: &str = "  url: postgresql://...neon.tech/neondb...";

/// A command of the page and what it prints there.
struct Shown {
    command: String,
    output: String,
}

/// The indented blocks with a `$ `, in order.
fn commands(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(code) => match code.strip_prefix("$ ") {
                Some(command) => {
                    in_block = true;
                    shown.push(Shown { command: command.to_owned(), output: String::new() });
                }
                None if in_block => push(&mut shown, code),
                None => {}
            },
            None if line.is_empty() && in_block => push(&mut shown, ""),
            None => in_block = false,
        }
    }
    for one in &mut shown {
        one.output.truncate(one.output.trim_end().len());
    }
    shown
}

fn push(shown: &mut [Shown], line: &str) {
    let output = &mut shown.last_mut().expect("a command came first").output;
    output.push_str(line);
    output.push('\n');
}

/// The page's own run of things: which deploy it means by its id, and where its app is.
struct Walk<'p> {
    place: &'p Place,
    app: String,
    first_deploy: String,
}

impl Walk<'_> {
    fn run(&self, command: &str) -> Ran {
        let mut command = command.replace(PAGE_URL, &self.app);
        command =
            command.replace("nk_...", "sandbox-neon-key").replace("fo1_...", "sandbox-fly-token");
        if !self.first_deploy.is_empty() {
            command = command.replace(&PAGE_DEPLOY[..8], &self.first_deploy[..8]);
        }
        let directory = env!("CARGO_BIN_EXE_ss").rsplit_once('/').expect("a directory").0;
        let path = format!("{directory}:{}", std::env::var("PATH").expect("a PATH"));
        let mut shell = Command::new("bash");
        shell.args(["--norc", "-o", "pipefail", "-c", &command]);
        for (name, value) in self.place.command().get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.env("PATH", path).current_dir(self.place.path());
        Ran::of(shell.output().expect("bash runs"))
    }

    /// A run's output in the page's words.
    fn as_on_the_page(&self, text: &str) -> String {
        let mut text = text.replace(&self.app, PAGE_URL);
        if !self.first_deploy.is_empty() {
            text = text.replace(&self.first_deploy, PAGE_DEPLOY);
            text = text.replace(&self.first_deploy[..8], &PAGE_DEPLOY[..8]);
        }
        let lines: Vec<String> = text.lines().map(line_as_on_the_page).collect();
        lines.join("\n").trim_end().to_owned()
    }
}

fn line_as_on_the_page(line: &str) -> String {
    if let Some((before, project)) = line.split_once("Project created: ") {
        assert!(project.starts_with("my-app-"), "{line}");
        return format!("{before}Project created: {PAGE_PROJECT}");
    }
    if line.starts_with("  url: postgresql://") {
        assert!(line.contains("/neondb") && !line.contains("password"), "{line}");
        return PAGE_DATABASE.to_owned();
    }
    for (field, on_the_page) in [
        ("  duration:  ", "87.3s"),
        ("  started:   ", "2026-05-02 14:32:01 UTC"),
        ("  ended:     ", "2026-05-02 14:33:28 UTC"),
        ("  ✓ ss.deploy.service.app-db (", "12.4s)"),
        ("  ✓ ss.deploy.service.api (", "74.9s)"),
    ] {
        if let Some(value) = line.strip_prefix(field) {
            assert_eq!(shape(value), shape(on_the_page), "{line}");
            return format!("{field}{on_the_page}");
        }
    }
    line.to_owned()
}

/// A text with every number written as one digit.
fn shape(text: &str) -> String {
    let mut shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    while shape.contains("00") {
        shape = shape.replace("00", "0");
    }
    shape
}

#[test]
fn the_page_is_true_from_its_first_command_to_its_last() {
    let page = include_str!("../../docs/walkthrough.md");
    let place = Place::new();
    let port = free_port();
    walkthrough(&place, port);
    let _sandbox = Sandbox::start(&place, port, &place.path().join("sandbox.yaml"));
    let overlay = place.read("starsystem.sandbox.yaml");
    let connections = overlay.split("\nservices:").next().expect("connections");
    let connections = connections.split_once("connections:").expect("connections").1;
    let prod = std::fs::read_to_string(example().join("starsystem.prod.yaml")).expect("an overlay");
    for file in ["starsystem.yaml", "starsystem.prod.yaml"] {
        let text = std::fs::read_to_string(example().join(file)).expect("a file");
        let yaml = text.split_once("version:").expect("a version").1.trim_end();
        assert!(page.contains(&format!("version:{yaml}\n")), "the page does not show {file}");
    }
    place.write("starsystem.prod.yaml", &format!("{prod}\nconnections:{connections}\n"));

    let app = format!("http://127.0.0.1:{port}/app/my-app-api");
    let mut walk = Walk { place: &place, app, first_deploy: String::new() };
    let shown = commands(page);
    assert!(shown.len() > 12, "the page shows {} commands", shown.len());
    for Shown { command, output } in shown {
        let ran = walk.run(&command).exits(0);
        if walk.first_deploy.is_empty() && command.starts_with("ss deploy") {
            let listed = place.ss(["inspect", "--list", "--env=prod", "--json"]).exits(0).stdout;
            let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
            walk.first_deploy = listed["deploys"][0]["id"].as_str().expect("an id").to_owned();
        }
        // A command that shows no output on the page may print what it likes.
        if !output.is_empty() {
            assert_eq!(walk.as_on_the_page(&ran.stdout), output, "$ {command}\n{}", ran.stderr);
        }
    }
}
