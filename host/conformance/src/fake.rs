//! The author's own fake of the API: a program that is started, waited for, and stopped.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::case::CaseError;

/// How long a fake may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running fake; it ends when this is dropped.
pub struct Fake(Child);

/// A port of this machine that nobody listens on.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Fake {
    /// Starts the command and waits until something listens on the port.
    pub async fn start(command: &[String], directory: &Path, port: u16) -> Result<Self, CaseError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(CaseError("`fake` names no program".to_owned()));
        };
        let child = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| {
                CaseError(format!("the fake `{program}` cannot be started: {error}"))
            })?;
        let mut fake = Self(child);
        fake.listens(program, port).await?;
        Ok(fake)
    }

    async fn listens(&mut self, program: &str, port: u16) -> Result<(), CaseError> {
        let begun = Instant::now();
        loop {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.0.try_wait() {
                return Err(CaseError(format!("the fake `{program}` ended: {status}")));
            }
            if begun.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(CaseError(format!(
                    "the fake `{program}` does not listen on port {port} after {seconds} seconds"
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
