//! Copies a cluster: the template, a stopped parent, or a parent in use.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use super::{Admin, PostgresError, blocking};

/// Copies a branch folder that nobody is writing to; does nothing if `to` is there.
pub(crate) fn whole(from: &Path, to: &Path, owner: Option<u32>) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let beside = beside(to);
    start_clean(&beside)?;
    tree(from, &beside, owner, &|path| !is_left_out(path))?;
    fs::rename(&beside, to)
}

/// Copies `from` into the new branch folder `to`; with a session on `from`, as a live backup.
pub(crate) async fn branch(
    from: PathBuf,
    to: PathBuf,
    live: Option<Admin>,
    owner: Option<u32>,
) -> Result<(), PostgresError> {
    let failed = |error: io::Error| PostgresError::new(format!("cannot copy the parent: {error}"));
    let Some(session) = live else {
        return blocking(move || whole(&from, &to, owner).map_err(failed)).await;
    };
    session.begin_backup().await?;
    let beside = beside(&to);
    let (source, target) = (from.clone(), beside.clone());
    let copied = blocking(move || {
        start_clean(&target).map_err(failed)?;
        tree(&source, &target, owner, &|path| !is_left_out(path) && !is_in_wal(path))
            .map_err(failed)
    });
    let copied = copied.await;
    let label = session.end_backup().await?;
    copied?;
    // The log up to the end of the backup is what makes the copy whole; it comes last.
    blocking(move || {
        let write = || -> io::Result<()> {
            let data = beside.join("pgdata");
            private_dir(&data.join("pg_wal"))?;
            private_dir(&data.join("pg_wal/archive_status"))?;
            tree(&from.join("pgdata/pg_wal"), &data.join("pg_wal"), owner, &|_| true)?;
            fs::write(data.join("backup_label"), label)?;
            give(&data.join("pg_wal"), owner)?;
            give(&data.join("pg_wal/archive_status"), owner)?;
            give(&data.join("backup_label"), owner)?;
            fs::rename(&beside, &to)
        };
        write().map_err(failed)
    })
    .await
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".copying");
    PathBuf::from(name)
}

/// Removes what an interrupted copy left.
fn start_clean(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What belongs to a running server or to one cluster alone.
fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    matches!(name, "postmaster.pid" | "postmaster.opts" | "postgres.log" | "pgsql_tmp" | "done")
        || matches!(parent, Some("pg_replslot" | "pg_stat_tmp" | "pg_dynshmem" | "pg_notify"))
}

fn is_in_wal(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == "pg_wal")
}

/// Copies a folder; a file that vanishes meanwhile is one the server has just removed.
fn tree(
    from: &Path,
    to: &Path,
    owner: Option<u32>,
    keep: &impl Fn(&Path) -> bool,
) -> io::Result<()> {
    private_dir(to)?;
    give(to, owner)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if !keep(&path) {
            continue;
        }
        let copied = match entry.file_type() {
            Ok(kind) if kind.is_dir() => tree(&path, &target, owner, keep),
            Ok(kind) if kind.is_file() => fs::copy(&path, &target).map(|_| ()),
            // No tablespaces, so no links.
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        match copied {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(()) => give(&target, owner)?,
        }
    }
    Ok(())
}

fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes `owner` the owner, where that is not us.
pub(crate) fn give(path: &Path, owner: Option<u32>) -> io::Result<()> {
    #[cfg(unix)]
    if owner.is_some() {
        return std::os::unix::fs::chown(path, owner, owner);
    }
    let _ = (path, owner);
    Ok(())
}
