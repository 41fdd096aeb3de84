//! From a crate to a component: cargo, in a workspace of its own, with nothing of the outer build around it.
//!
//! The same sources give the same bytes wherever they lie: paths are mapped away, nothing reads the time.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Why there is no component.
#[derive(Debug)]
pub struct BuildError(String);

impl std::fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// A cargo workspace of components, and where its build output goes.
#[derive(Debug, Clone)]
pub struct Workspace {
    directory: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// A workspace. Its target directory must not be the outer build's: that one is locked.
    pub fn new(directory: impl Into<PathBuf>, target_directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), target_directory: target_directory.into() }
    }

    /// Builds packages and returns their components, in the same order.
    pub fn build(&self, packages: &[&str]) -> Result<Vec<Vec<u8>>, BuildError> {
        require_target()?;
        let mut cargo = cargo();
        cargo.current_dir(&self.directory).args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
        ]);
        cargo.arg("--target-dir").arg(&self.target_directory);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.path_flags());
        for package in packages {
            cargo.args(["--package", package]);
        }
        run(&mut cargo)?;
        packages.iter().map(|package| self.component(package)).collect()
    }

    fn component(&self, package: &str) -> Result<Vec<u8>, BuildError> {
        let file = format!("{}.wasm", package.replace('-', "_"));
        let path = self.target_directory.join(TARGET).join("release").join(file);
        std::fs::read(&path).map_err(|error| BuildError(format!("{}: {error}", path.display())))
    }

    /// Maps every path of this machine away, so that none is in the component.
    fn path_flags(&self) -> String {
        let sources = self.directory.parent().unwrap_or(&self.directory);
        let mut maps = vec![(sources.to_owned(), "/ss".to_owned())];
        maps.push((self.target_directory.clone(), "/target".to_owned()));
        if let Some(home) = cargo_home() {
            // Registries differ in the name of this directory only.
            let registries = std::fs::read_dir(home.join("registry/src")).into_iter().flatten();
            maps.extend(registries.flatten().map(|entry| (entry.path(), "/crates".to_owned())));
        }
        let flags = maps
            .iter()
            .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()));
        flags.collect::<Vec<_>>().join("\u{1f}")
    }
}

fn cargo_home() -> Option<PathBuf> {
    let home = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

/// Cargo without what an outer cargo, a build script or the user's shell told it.
fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_outer) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn is_outer(name: &str) -> bool {
    const KEPT: [&str; 2] = ["CARGO_HOME", "CARGO_NET_OFFLINE"];
    const OUTER: [&str; 14] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "RUSTC_BOOTSTRAP",
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "OUT_DIR",
        "NUM_JOBS",
    ];
    let is_registry = name.starts_with("CARGO_REGISTR") || name.starts_with("CARGO_HTTP");
    OUTER.contains(&name)
        || (name.starts_with("CARGO") && !KEPT.contains(&name) && !is_registry)
        || name.starts_with("DEP_")
}

fn run(command: &mut Command) -> Result<(), BuildError> {
    let output = command.output();
    let failed = |why: String| BuildError(format!("{}: {why}", text(command)));
    match output {
        Err(error) => Err(failed(error.to_string())),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Makes sure that the compiler can make components, installing what is missing.
fn require_target() -> Result<(), BuildError> {
    if has_target() {
        return Ok(());
    }
    let _ = run(Command::new("rustup").args(["target", "add", TARGET]));
    if has_target() {
        return Ok(());
    }
    Err(BuildError(format!(
        "the compiler cannot make WebAssembly components; run: rustup target add {TARGET}"
    )))
}

fn has_target() -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")));
    let libraries = rustc.args(["--print", "target-libdir", "--target", TARGET]).output();
    libraries.is_ok_and(|output| {
        output.status.success()
            && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}
