//! Other people's programs that judge what `ss` writes. Without them a test is skipped, loudly; `.ci/run` installs them
//! and sets `SS_TEST_TOOLS`, and then it is a failure that one is missing.

use std::path::{Path, PathBuf};

/// A file below the folder that `tests/cli/tools/install.sh` filled; `None` when there is no such folder.
pub fn tool(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("SS_TEST_TOOLS") else {
        eprintln!("skipped: SS_TEST_TOOLS names no folder; tests/cli/tools/install.sh fills one");
        return None;
    };
    let path = Path::new(&folder).join(name);
    assert!(path.exists(), "`{}` is missing", path.display());
    Some(path)
}

/// A program of the system; `None` when it is not there and nobody promised it.
pub fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("SS_TEST_TOOLS").is_none(), "`{name}` is not installed");
        eprintln!("skipped: `{name}` is not installed");
    }
    found
}

/// `tests/cli/tools`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cli/tools").join(name)
}
