//! Running other programs, and knowing where everything is.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The repository's root. Asked of cargo at run time: a target directory may serve several checkouts.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    here.ancestors().nth(2).expect("cargo says that xtask stands in host/xtask").to_owned()
}

/// Cargo, as it was called, in the repository's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end; its failure is ours.
pub fn succeed(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let status = command.status().map_err(|error| format!("{shown} cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown} failed: {status}")) }
}

/// Runs a command and keeps what it prints.
pub fn output(command: &mut Command) -> Result<Output, String> {
    let shown = format!("{command:?}");
    command.output().map_err(|error| format!("{shown} cannot be started: {error}"))
}

/// Builds the release binary and says where it is.
pub fn release_binary() -> Result<PathBuf, String> {
    succeed(cargo().args(["build", "--release", "--locked", "-p", "ss"]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let binary = target.join("release").join("ss");
    if binary.is_file() { Ok(binary) } else { Err(format!("there is no `{}`", binary.display())) }
}

/// A new empty directory that is removed with the value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes one below the system's temporary directory.
    pub fn new(name: &str) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("ss-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left over is in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
