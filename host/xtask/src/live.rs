//! The walkthrough on the real neon.tech and fly.io, with the caller's own tokens. Never part of CI: it costs money.
//!
//! It writes a project into a scratch directory, deploys, verifies, redeploys, and always destroys what it made.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::shell::{Scratch, output, release_binary, root, succeed};

const CONSENT: &str = "--i-pay-for-it";

/// Walks it. Needs NEON_API_KEY and FLY_API_TOKEN; the image serves `/health` on port 3000 (`--image=…`).
pub fn run(arguments: &[String]) -> Result<(), String> {
    if !arguments.iter().any(|argument| argument == CONSENT) {
        return Err(format!("this makes real resources in your accounts; say `{CONSENT}`"));
    }
    for variable in ["NEON_API_KEY", "FLY_API_TOKEN"] {
        if std::env::var_os(variable).is_none() {
            return Err(format!("{variable} is not set"));
        }
    }
    let image = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("--image="))
        .ok_or("name an image that serves /health on port 3000: `--image=…`")?;
    let ss = release_binary()?;
    let scratch = Scratch::new("live")?;
    write_project(&scratch.0, image)?;
    let walked = walk(&ss, &scratch.0);
    println!("\n== clean up");
    let destroyed = succeed(ss_in(&ss, &scratch.0).args(["destroy", "--env=prod", "--yes=prod"]));
    walked.and(destroyed)
}

fn write_project(directory: &Path, image: &str) -> Result<(), String> {
    let example = root().join("examples/postgres-and-api");
    let read = |name: &str| {
        std::fs::read_to_string(example.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let seconds =
        SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    let app = format!("ss-live-{seconds}");
    let overlay = read("starsystem.prod.yaml")?
        .replace("app: my-app-api", &format!("app: {app}"))
        .replace("project_name: my-app", &format!("project_name: {app}"))
        .replace("ghcr.io/me/my-app-api:latest", image);
    let write = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("starsystem.yaml", &read("starsystem.yaml")?)?;
    write("starsystem.prod.yaml", &overlay)
}

fn ss_in(ss: &Path, directory: &Path) -> Command {
    let mut command = Command::new(ss);
    command.current_dir(directory).env("STARSYSTEM_HOME", directory.join("home"));
    command
}

fn walk(ss: &Path, directory: &Path) -> Result<(), String> {
    for arguments in [
        &["validate", "--env=prod"][..],
        &["plan", "--env=prod"],
        &["deploy", "--env=prod"],
        &["inspect", "--env=prod", "--state"],
        &["drift", "--env=prod"],
    ] {
        println!("\n== ss {}", arguments.join(" "));
        succeed(ss_in(ss, directory).args(arguments))?;
    }
    println!("\n== ss deploy --env=prod, again");
    let again = output(ss_in(ss, directory).args(["deploy", "--env=prod"]))?;
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    print!("{said}");
    if said.contains("Nothing to change: 2 unchanged") {
        Ok(())
    } else {
        Err("a second deploy changed something".to_owned())
    }
}
