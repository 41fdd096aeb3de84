//! One process group: started at a gate, watched, signalled, killed as a whole.
//!
//! Promises that a process does nothing before `release`, so its pid can be recorded first and a
//! sandbox that dies in between leaves nothing running; that it sees only the given variables and
//! PATH, HOME and LANG; and that no member of the group outlives its end.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::log::Logs;
use super::orphan::Stamp;

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working folder.
    pub dir: PathBuf,
    /// The whole environment apart from PATH, HOME and LANG.
    pub env: BTreeMap<String, String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 + signal after a signal.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// A running process group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stamp: Stamp,
    gate: Option<ChildStdin>,
}

impl Program {
    /// The command with environment, folder and own process group, outputs not yet connected.
    #[must_use]
    pub fn command(&self, command: &[String]) -> Command {
        let (program, arguments) =
            command.split_first().map_or(("", [].as_slice()), |(p, a)| (p, a));
        let mut prepared = Command::new(program);
        prepared.args(arguments).current_dir(&self.dir).env_clear().process_group(0);
        for name in ["PATH", "HOME", "LANG"] {
            prepared.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        prepared.envs(&self.env).kill_on_drop(true);
        prepared
    }

    /// Starts the program at the gate; its output goes to `machine`'s log.
    ///
    /// # Errors
    /// The folder does not exist, or the system has no room for another process.
    pub fn start(&self, logs: &Logs, machine: &str) -> io::Result<Process> {
        // `exec` keeps pid and start time, so what is recorded at the gate stays true behind it.
        let gate = r#"read -r _ && exec "$@" </dev/null"#;
        let mut command =
            vec!["/bin/sh".to_owned(), "-c".to_owned(), gate.to_owned(), "sh".to_owned()];
        command.extend(self.command.iter().cloned());
        let mut prepared = self.command(&command);
        prepared.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = prepared.spawn()?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(logs.clone().copy(machine.to_owned(), "info", output));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(logs.clone().copy(machine.to_owned(), "error", output));
        }
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
        let stamp = Stamp::of(pid).unwrap_or_else(|| Stamp { pid, started: String::new() });
        Ok(Process { gate: child.stdin.take(), child, stamp })
    }
}

impl Process {
    /// Names the process for the record.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Opens the gate.
    pub async fn release(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            // A write can only fail when the process is gone, and then `exited` tells.
            let _ = gate.write_all(b"go\n").await;
        }
    }

    /// Waits for the end, then kills what is left of the group. Safe to drop and call again.
    pub async fn exited(&mut self) -> Exit {
        let unreaped = self.child.id().is_some();
        let status = self.child.wait().await;
        if unreaped {
            self.signal(Signal::KILL);
        }
        let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
        let code = status.ok().and_then(|status| status.code());
        Exit { code: code.unwrap_or(128 + signal.unwrap_or(0)), signal }
    }

    /// Sends `signal` to the whole group.
    pub fn signal(&self, signal: Signal) {
        signal_group(&self.stamp, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only while the child is not yet reaped; afterwards the number could be a stranger's.
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

/// Sends `signal` to the group led by `stamp`; a group that is gone is no error.
pub fn signal_group(stamp: &Stamp, signal: Signal) {
    if let Some(pid) = Pid::from_raw(stamp.pid) {
        let _ = kill_process_group(pid, signal);
    }
}

/// Translates a `SIG…` name.
#[must_use]
pub fn signal_named(name: &str) -> Option<Signal> {
    Some(match name {
        "SIGABRT" => Signal::ABORT,
        "SIGALRM" => Signal::ALARM,
        "SIGFPE" => Signal::FPE,
        "SIGHUP" => Signal::HUP,
        "SIGILL" => Signal::ILL,
        "SIGINT" => Signal::INT,
        "SIGKILL" => Signal::KILL,
        "SIGPIPE" => Signal::PIPE,
        "SIGQUIT" => Signal::QUIT,
        "SIGSEGV" => Signal::SEGV,
        "SIGTERM" => Signal::TERM,
        "SIGTRAP" => Signal::TRAP,
        "SIGUSR1" => Signal::USR1,
        "SIGUSR2" => Signal::USR2,
        _ => return None,
    })
}

/// A loopback port that was free a moment ago.
///
/// # Errors
/// The system has none left.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn shell(script: &str) -> Program {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let env = BTreeMap::from([("OWN".to_owned(), "1".to_owned())]);
        Program { command, dir: PathBuf::from("/"), env }
    }

    fn logs(folder: &tempfile::TempDir) -> Logs {
        Logs::open(folder.path().to_owned(), Clock::real()).unwrap()
    }

    #[tokio::test]
    async fn runs_only_after_release_and_reports_code_and_output() {
        let folder = tempfile::tempdir().unwrap();
        let logs = logs(&folder);
        let mut process =
            shell("echo own=$OWN cargo=$CARGO_PKG_NAME; exit 7").start(&logs, "m").unwrap();
        let stamp = process.stamp().clone();
        assert!(stamp.is_alive());
        process.release().await;
        assert_eq!(process.exited().await, Exit { code: 7, signal: None });
        while logs.read("m", 0).is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(logs.read("m", 0)[0].message, "own=1 cargo=");
    }

    #[tokio::test]
    async fn never_runs_when_the_gate_closes_unopened() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo ran").start(&logs(&folder), "m").unwrap();
        process.gate = None;
        assert_eq!(process.exited().await.code, 1);
        assert!(logs(&folder).read("m", 0).is_empty());
    }

    #[tokio::test]
    async fn the_end_takes_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("sleep 600 & exit 0").start(&logs(&folder), "m").unwrap();
        let group = process.stamp().pid;
        process.release().await;
        process.exited().await;
        while !crate::machine::orphan::group(group).is_empty() {
            tokio::task::yield_now().await;
        }
    }
}
