//! One server process: start, wait until it answers, stop.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::binaries::Binaries;
use super::runner::Runner;
use super::{Admin, PostgresError};

/// How long a start may take: a large log to replay on a slow disk.
const START_MAX: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts the server of the branch in `folder` on a free port and waits until it answers.
    pub(crate) async fn start(
        binaries: &Binaries,
        runner: &Runner,
        folder: &Path,
        logical: bool,
    ) -> Result<Self, PostgresError> {
        let mut last = PostgresError::new("no free port");
        // Between finding a free port and taking it another program may be faster.
        for _ in 0..3 {
            let port = free_port().map_err(|error| PostgresError::new(error.to_string()))?;
            let child = spawn(binaries, *runner, folder, port, logical)?;
            let mut server = Self { child, port };
            match server.wait_until_answering(folder).await {
                Ok(()) => return Ok(server),
                Err(error) => {
                    server.stop().await;
                    last = error;
                    if !last.0.contains("could not bind") && !last.0.contains("in use") {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it: connections are dropped and the data is left clean; by force if it hangs.
    pub(crate) async fn stop(mut self) {
        for (signal, patience) in [(Signal::INT, 10), (Signal::QUIT, 3)] {
            if !self.is_alive() {
                return;
            }
            let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            // It may have ended in between; waiting below then returns at once.
            let _ = pid.map(|pid| kill_process(pid, signal));
            if timeout(Duration::from_secs(patience), self.child.wait()).await.is_ok() {
                return;
            }
        }
        // Nothing is left to try after this one.
        let _ = self.child.kill().await;
    }

    async fn wait_until_answering(&mut self, folder: &Path) -> Result<(), PostgresError> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if !self.is_alive() {
                return Err(PostgresError::new(format!(
                    "PostgreSQL ended: {}",
                    last_words(folder)
                )));
            }
            match Admin::connect(self.port, folder).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(PostgresError::new(format!("PostgreSQL does not answer: {error}")));
                }
                Err(_) => sleep(Duration::from_millis(15)).await,
            }
        }
    }
}

fn spawn(
    binaries: &Binaries,
    runner: Runner,
    folder: &Path,
    port: u16,
    logical: bool,
) -> Result<Child, PostgresError> {
    let log = folder.join("postgres.log");
    let output = OpenOptions::new().create(true).write(true).truncate(true).open(&log);
    let output = output.map_err(|error| PostgresError::io("cannot write", &log, &error))?;
    let mut command = runner.command(&binaries.bin.join("postgres"));
    command.arg("-D").arg(folder.join("pgdata"));
    let port = port.to_string();
    let level = if logical { "logical" } else { "replica" };
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("port", port.as_str()),
        ("unix_socket_directories", ""),
        ("wal_level", level),
        ("shared_buffers", "16MB"),
        ("max_connections", "100"),
        ("password_encryption", "scram-sha-256"),
        // A live copy must find its log still there.
        ("wal_keep_size", "64MB"),
        ("max_wal_size", "256MB"),
        ("logging_collector", "off"),
        ("log_min_messages", "warning"),
    ];
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // Its own group, so that Ctrl-C at the sandbox's terminal reaches only the sandbox.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let spawned = Command::from(command).kill_on_drop(true).spawn();
    spawned.map_err(|error| PostgresError::new(format!("PostgreSQL does not start: {error}")))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The end of the server's log, on one line.
fn last_words(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("postgres.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(4).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}
