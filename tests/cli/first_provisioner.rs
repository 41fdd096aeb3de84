//! `docs/provisioners/*.md`, executed: every line of the pages' `sh` blocks, in a clean directory, with the language's toolchain.

use std::path::Path;
use std::process::Command;

use crate::common::{Place, Ran};
use crate::json_shapes;

/// The pages, and what the provisioner of each is called there.
const PAGES: [(&str, &str); 6] = [
    ("rust.md", "first-rust"),
    ("python.md", "first-python"),
    ("javascript.md", "first-js"),
    ("typescript.md", "first-ts"),
    ("go.md", "first-go"),
    ("c.md", "first-c"),
];

/// The lines of the page's `sh` blocks, in order.
fn commands(page: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut is_shell = false;
    for line in page.lines().map(str::trim) {
        match line {
            "```sh" => is_shell = true,
            "```" => is_shell = false,
            line if is_shell => commands.push(line),
            _ => {}
        }
    }
    commands
}

/// Runs the commands as one script, with `ss` and the toolchains on the path.
fn run(place: &Place, commands: &[&str]) -> Ran {
    let directory = env!("CARGO_BIN_EXE_ss").rsplit_once('/').expect("a directory").0;
    let path = format!("{directory}:{}", std::env::var("PATH").expect("a PATH"));
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-e", "-o", "pipefail", "-c", &commands.join("\n")]);
    shell.env_clear().current_dir(place.path());
    for (name, value) in place.command().get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    // What an author's machine has: their toolchains, and what these downloaded before.
    let home = std::env::var_os("HOME").expect("a HOME");
    for (name, below) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let usual = Path::new(&home).join(below).into_os_string();
        shell.env(name, std::env::var_os(name).unwrap_or(usual));
    }
    let cache = std::env::var_os("SS_LANGUAGE_CACHE");
    let usual = || Path::new(&home).join(".cache/ss-language-guests").into_os_string();
    shell.env("SS_LANGUAGE_CACHE", cache.unwrap_or_else(usual)).env("PATH", path);
    Ran::of(shell.output().expect("bash runs"))
}

#[test]
fn every_first_provisioner_is_built_and_passes_everything_as_its_page_says() {
    if std::env::var_os("SS_LANGUAGE_GUESTS").is_none() {
        eprintln!("skipped: SS_LANGUAGE_GUESTS is not set, so the toolchains may not be here");
        return;
    }
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/provisioners");
    for (page, name) in PAGES {
        let text = std::fs::read_to_string(pages.join(page)).expect("a page");
        let place = Place::new();
        let ran = run(&place, &commands(&text)).exits(0);
        let ran = ran.says(&format!("✓ ./{name}")).says("from then on").says("It may:");
        assert!(ran.stdout.contains("\nScore: 100 %"), "{page}:\n{}", ran.stdout);
        if page == "c.md" {
            let built = run(&place, &["cd first-c", "ss plugin build --json"]).exits(0);
            json_shapes::fits("plugin-build", &serde_json::from_str(&built.stdout).expect("JSON"));
        }
        assert!(
            text.contains(&tried(&ran.stdout)),
            "{page} has another number of things:\n{}",
            ran.stdout
        );
    }
}

/// How many things were tried, in the page's words.
fn tried(report: &str) -> String {
    let passed = report.rsplit_once('(').and_then(|(_, rest)| rest.split_once(" passed"));
    format!("try it: {} things", passed.expect("a score").0)
}

#[test]
fn what_cannot_be_begun_or_built_is_told() {
    let place = Place::new();
    place.ss(["plugin", "new", "Mine!", "--lang=c"]).exits(2);
    place.ss(["plugin", "build"]).exits(1).says("SS0622").says("main.py");
    place.ss(["plugin", "new", "mine", "--lang=python"]).exits(0).says("ss plugin test mine.wasm");
    place.ss(["plugin", "new", "mine", "--lang=go"]).exits(1).says("is there already");
    let begun = place.json(["plugin", "new", "yours", "--lang=ts", "--json"]);
    let files = begun["files"].as_array().expect("files");
    assert!(files.iter().any(|file| file == "main.ts"), "{begun}");
    // A toolchain that is not there.
    std::fs::create_dir(place.path().join("empty")).expect("a folder");
    let mut bare = place.command();
    let shell = ["sh", "dirname", "cmp"].map(|program| find(program).expect(program));
    for program in &shell {
        let name = program.file_name().expect("a name");
        std::os::unix::fs::symlink(program, place.path().join("empty").join(name)).expect("a link");
    }
    bare.env("PATH", place.path().join("empty")).args(["plugin", "build", "mine"]);
    let ran = Ran::of(bare.output().expect("it runs")).exits(1);
    ran.says("missing: Python").says("get it:").says("SS0622");
}

fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
