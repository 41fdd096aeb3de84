//! What no compiler checks: which room imports which, how long files get, and words that have no place here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{output, root};

/// Room → the rooms it may import. `host/cli` may import all.
const ROOMS: [(&str, &[&str]); 17] = [
    ("core", &[]),
    ("gate", &["core"]),
    ("ports", &["core", "gate"]),
    ("engine", &["core", "gate", "ports"]),
    ("wasm", &["core", "gate", "ports", "wasm-config", "wasm-build"]),
    ("wasm-config", &[]),
    ("wasm-build", &["wasm-config"]),
    ("egress", &["core", "gate", "ports"]),
    ("vault", &["core", "ports"]),
    ("store", &["core", "gate", "ports"]),
    ("registry", &["core", "gate", "ports"]),
    ("telemetry", &["core", "ports"]),
    ("sandbox", &[]),
    ("component", &[]),
    ("conformance", &["core", "gate", "ports", "engine", "testkit"]),
    ("selftest", &["wasm-build"]),
    ("xtask", &[]),
];
const LINES_MAX: usize = 700;
/// Open marks and stubs, spelled in two halves so that this file does not hold them.
const WORDS: [(&str, &str); 5] =
    [("FIX", "ME"), ("XX", "X"), ("todo", "!("), ("unimplemented", "!("), ("#[ign", "ore")];

/// Checks everything and names every problem.
pub fn run() -> Result<(), String> {
    let mut problems = Vec::new();
    layering(&mut problems)?;
    for file in tracked()? {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        if file.extension().is_some_and(|extension| extension == "rs") {
            rust_file(&file, &text, &mut problems);
        }
        words(&file, &text, &mut problems);
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("not tidy:\n  {}", problems.join("\n  ")))
    }
}

fn tracked() -> Result<Vec<PathBuf>, String> {
    let listed = output(std::process::Command::new("git").args(["ls-files"]).current_dir(root()))?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from).collect())
}

fn layering(problems: &mut Vec<String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (room, allowed) in ROOMS {
        let path = root().join("host").join(room).join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        seen.insert(room);
        let normal = text.split("[dev-dependencies]").next().unwrap_or(&text);
        for line in normal.lines() {
            let Some(imported) =
                line.strip_prefix("ss-").and_then(|rest| rest.split(['.', ' ', '=']).next())
            else {
                continue;
            };
            if imported != room && !allowed.contains(&imported) {
                problems.push(format!("host/{room} imports ss-{imported}, which is not below it"));
            }
        }
        if !matches!(room, "wasm" | "wasm-build" | "wasm-config")
            && normal.lines().any(|line| line.starts_with("wasmtime"))
        {
            problems.push(format!("host/{room} says wasmtime; only the wasm rooms do"));
        }
    }
    let rooms = fs::read_dir(root().join("host")).map_err(|error| error.to_string())?;
    for room in rooms.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file()) {
        let name = room.file_name().to_string_lossy().into_owned();
        if name != "cli" && !seen.contains(name.as_str()) {
            problems.push(format!("host/{name} has no place in the layering table"));
        }
    }
    Ok(())
}

fn rust_file(file: &Path, text: &str, problems: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{} has {lines} lines; {LINES_MAX} are the most", file.display()));
    }
    if !text.starts_with("//!") && !text.starts_with("#!") {
        problems.push(format!("{} does not open with what it promises (`//!`)", file.display()));
    }
}

fn words(file: &Path, text: &str, problems: &mut Vec<String>) {
    if file.ends_with("Cargo.lock") || file.ends_with("package-lock.json") {
        return;
    }
    for (left, right) in WORDS {
        let word = format!("{left}{right}");
        if text.contains(&word) {
            problems.push(format!("{} holds `{word}`", file.display()));
        }
    }
}
