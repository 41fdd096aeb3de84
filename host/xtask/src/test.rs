//! Everything that CI tests: all rooms, the plugins and the SDK, and the release binary against the sandbox.

use std::path::PathBuf;

use crate::shell::{cargo, root, succeed};
use crate::tidy;

/// Runs all of it.
pub fn run() -> Result<(), String> {
    tidy::run()?;
    // Built first: the sandbox would otherwise build it in the middle of a test, where its own target directory is used.
    let server = root().join("examples/postgres-and-api/server");
    succeed(
        cargo()
            .args(["build", "--release", "--locked"])
            .current_dir(server)
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    let components = components()?;
    succeed(
        cargo()
            .args(["test", "--release", "--locked", "--workspace"])
            .env("SS_COMPONENTS", components),
    )?;
    for workspace in ["sdk/rust", "plugins"] {
        let mut command = cargo();
        command.args(["test", "--locked", "--workspace"]).current_dir(root().join(workspace));
        if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
            command.env("CARGO_TARGET_DIR", PathBuf::from(target).join("plugins"));
        }
        succeed(&mut command)?;
    }
    Ok(())
}

/// Builds the first-party components the way their authors would, as files.
fn components() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("plugins");
    let mut build = cargo();
    build
        .args([
            "build",
            "--release",
            "--locked",
            "--workspace",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(&target);
    succeed(build.current_dir(root().join("plugins")))?;
    Ok(target.join("wasm32-wasip2/release"))
}
