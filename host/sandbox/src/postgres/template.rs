//! An empty cluster, made once per PostgreSQL version and copied for every project.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::binaries::Binaries;
use super::copy::give;
use super::runner::Runner;
use super::{PostgresError, admin};
use crate::folder::private_folder;
use crate::random;

/// The template's folder, made if it is not there yet.
pub(crate) fn ready(
    binaries: &Binaries,
    runner: &Runner,
    cache: &Path,
) -> Result<PathBuf, PostgresError> {
    let name: String =
        binaries.version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let template = cache.join(format!("template-2-{name}"));
    if template.join("done").exists() {
        return Ok(template);
    }
    let beside = cache.join(format!("making-{}-{}", std::process::id(), random::string(b"abc", 6)));
    let made = make(binaries, *runner, &beside).and_then(|()| {
        match fs::rename(&beside, &template) {
            // Another process may have been faster; its template is as good as ours.
            Err(error) if !template.join("done").exists() => {
                Err(PostgresError::io("cannot move the template to", &template, &error))
            }
            _ => Ok(template),
        }
    });
    // Left only after a failure, or when another process was faster.
    let _ = fs::remove_dir_all(&beside);
    made
}

fn make(binaries: &Binaries, runner: Runner, into: &Path) -> Result<(), PostgresError> {
    let failed = |error: &io::Error| PostgresError::io("cannot make the template in", into, error);
    private_folder(into).map_err(|error| failed(&error))?;
    let password = random::string(random::LETTERS, 24);
    let password_file = into.join(admin::PASSWORD_FILE);
    write_private(&password_file, password.as_bytes()).map_err(|error| failed(&error))?;
    give(into, runner.owner()).map_err(|error| failed(&error))?;
    let data = into.join("pgdata");
    let said = runner
        .command(&binaries.bin.join("initdb"))
        .arg("--pgdata")
        .arg(&data)
        .arg("--pwfile")
        .arg(&password_file)
        .args(["--username", admin::USER, "--auth=scram-sha-256", "--encoding=UTF8"])
        .args(["--locale=C", "--wal-segsize=1", "--no-sync", "--no-instructions"])
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| failed(&error))?;
    if !said.status.success() {
        let text = String::from_utf8_lossy(&said.stderr);
        return Err(PostgresError::new(format!("initdb failed: {}", text.trim())));
    }
    let access = "host all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(data.join("pg_hba.conf"), access).map_err(|error| failed(&error))?;
    fs::write(into.join("done"), "").map_err(|error| failed(&error))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}
