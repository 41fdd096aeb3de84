//! Servers that a killed sandbox left behind.
//!
//! A process is taken for ours only when its command line names one of our own data folders with
//! `-D`; nobody else starts a server on those. Reads `/proc`: where there is none, nothing is ever
//! stopped, and PostgreSQL's own lock file keeps two servers off the same data.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Stops every server on data below `root`: politely, then at once, then by force.
pub(crate) fn stop_below(root: &Path) {
    let pids = servers_below(root);
    let steps = [(Signal::INT, 10), (Signal::QUIT, 3), (Signal::KILL, 3)];
    for (signal, seconds) in steps {
        for pid in pids.iter().copied().filter(|pid| is_server_below(*pid, root)) {
            // One that has just ended is what we want.
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
        }
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while pids.iter().any(|pid| is_server_below(*pid, root)) {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The servers on data below `root`.
pub(crate) fn servers_below(root: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_server_below(*pid, root))
        .collect()
}

fn is_server_below(pid: i32, root: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let Some(at) = arguments.iter().position(|argument| *argument == b"-D") else { return false };
    let is_postgres = arguments[..at].iter().any(|argument| argument.ends_with(b"/postgres"));
    let mut folder = root.as_os_str().as_bytes().to_owned();
    folder.push(b'/');
    is_postgres && arguments.get(at + 1).is_some_and(|data| data.starts_with(&folder))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn finds_ours_and_spares_others() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("br-1/pgdata");
        // A shell under another name that waits for a line that never comes.
        let sleeper = |name: &str, data: &Path| {
            Command::new("sh")
                .arg0(name)
                .args(["-c", "read -r _; :", name, "-D"])
                .arg(data)
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let mut ours = sleeper("/x/postgres", &data);
        let mut stranger = sleeper("/x/postgres", Path::new("/elsewhere/pgdata"));
        let found = servers_below(folder.path());
        assert_eq!(found, [ours.id().cast_signed()]);
        stop_below(folder.path());
        assert!(ours.try_wait().unwrap().is_some());
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
