//! The sandbox from the outside: starting, stopping and asking it, and the tokens it takes.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;
use ss_core::redact::{Redacted, Secret};
use ss_engine::{Failure, Override};
use ss_ports::{Vault, VaultError};

use crate::context::Context;
use crate::error::CommandError;
use crate::project::Project;

const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(30);
/// Something else may listen on the port and say nothing.
const STATUS_MAX: Duration = Duration::from_secs(3);

/// A sandbox by its port.
#[derive(Debug, Clone)]
pub struct LocalCloud {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Where it keeps everything.
    pub directory: PathBuf,
}

impl LocalCloud {
    /// The sandbox of this home on a port.
    pub fn new(context: &Context, port: u16) -> Result<Self, CommandError> {
        Ok(Self { port, directory: context.home()?.join("sandbox").join(port.to_string()) })
    }

    /// Its log.
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("sandbox.log")
    }

    /// What it says of itself; `None` when it is not there.
    pub fn status(&self) -> Option<Value> {
        let (status, body) = request(self.port, "GET", "/_control/status", STATUS_MAX).ok()?;
        let value: Value = serde_json::from_slice(&body).ok()?;
        (status == 200 && value.get("neon").is_some() && value.get("fly").is_some())
            .then_some(value)
    }

    /// Starts it in the background; it is ready when this returns.
    pub fn start(&self, config: Option<&Path>) -> Result<(), CommandError> {
        let io = |error: std::io::Error| failed(format!("the sandbox cannot be started: {error}"));
        std::fs::create_dir_all(&self.directory).map_err(io)?;
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).map_err(io)?;
        let mut command = Command::new(std::env::current_exe().map_err(io)?);
        command.args(["sandbox", "serve", "--port", &self.port.to_string()]);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        // Its own process group: Ctrl-C in this terminal is not meant for it.
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(io)?)
            .stderr(log)
            .process_group(0);
        let mut child = command.spawn().map_err(io)?;
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(self.did_not_start(&format!("it ended with {status}")));
            }
            if self.status().is_some() {
                return Ok(());
            }
            if begun.elapsed() > START_MAX {
                // Ours, and of no use: it must not be left behind. That it ended by itself is as good.
                let _ = child.kill();
                return Err(self.did_not_start("it does not answer"));
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn did_not_start(&self, why: &str) -> CommandError {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let last =
            log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing").to_owned();
        Failure::new("SS0701", format!("the sandbox on port {} did not start: {why}", self.port))
            .hint(format!("it printed last: {last}"))
            .hint(format!("its whole log is {}", self.log_path().display()))
            .into()
    }

    /// Stops it and everything it runs. `false` when it was not there.
    pub fn stop(&self) -> Result<bool, CommandError> {
        if self.status().is_none() {
            return Ok(false);
        }
        request(self.port, "POST", "/_control/shutdown", STOP_MAX)
            .map_err(|error| failed(format!("the sandbox does not answer: {error}")))?;
        let begun = Instant::now();
        // It stops answering before its processes have stopped writing.
        while self.status().is_some() || ss_sandbox::is_held(&self.directory).unwrap_or(false) {
            if begun.elapsed() > STOP_MAX {
                return Err(failed("the sandbox was asked to stop and still runs"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

fn failed(message: impl Into<String>) -> CommandError {
    Failure::new("SS0701", message).into()
}

/// One request to this machine, without a body.
fn request(port: u16, method: &str, path: &str, wait: Duration) -> std::io::Result<(u16, Vec<u8>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(wait))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(4 << 20).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    // Small answers come whole; a chunked one is its pieces without the lengths between them.
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body =
        if chunked { body.split("\r\n").skip(1).step_by(2).collect() } else { body.to_owned() };
    Ok((status, body.into_bytes()))
}

/// The port that all of the overlay's connections share on this machine.
fn shared_port(connections: impl Iterator<Item = (String, bool)>) -> Option<u16> {
    let mut ports = connections.map(|(url, local)| {
        let authority =
            url.strip_prefix("http://").filter(|_| local)?.split('/').next()?.to_owned();
        authority.rsplit_once(':')?.1.parse::<u16>().ok()
    });
    let first = ports.next()??;
    ports.all(|port| port == Some(first)).then_some(first)
}

/// Starts the sandbox when the overlay points at one that is not running, and the project says what it should run.
pub fn ensure(
    context: &Context,
    project: &Project,
    connections: &BTreeMap<String, Override>,
) -> Result<(), CommandError> {
    let Some(port) = shared_port(connections.values().map(|to| (to.base_url.clone(), to.local)))
    else {
        return Ok(());
    };
    let config = project.directory.join("sandbox.yaml");
    if !config.is_file() {
        return Ok(());
    }
    let cloud = LocalCloud::new(context, port)?;
    if cloud.status().is_some() {
        return Ok(());
    }
    if !context.quiet {
        eprintln!("starting the sandbox on 127.0.0.1:{port}");
    }
    let config = config.canonicalize().unwrap_or(config);
    cloud.start(Some(&config))
}

/// The vault, or one that gives the sandbox its own tokens: a real token is never sent to it.
pub fn vault(inner: Arc<dyn Vault>, connections: &BTreeMap<String, Override>) -> Arc<dyn Vault> {
    match shared_port(connections.values().map(|to| (to.base_url.clone(), to.local))) {
        Some(port) => Arc::new(SandboxVault { inner, port }),
        None => inner,
    }
}

/// The sandbox's own token, when the connections all point at one that is running.
pub fn token(name: &str, connections: &BTreeMap<String, Override>) -> Option<Secret> {
    let port = shared_port(connections.values().map(|to| (to.base_url.clone(), to.local)))?;
    sandbox_token(name, port)
}

fn sandbox_token(name: &str, port: u16) -> Option<Secret> {
    let (_, token) = SANDBOX_TOKENS.iter().find(|(known, _)| *known == name)?;
    let cloud = LocalCloud { port, directory: PathBuf::new() };
    cloud.status().is_some().then(|| Secret::from(*token))
}

struct SandboxVault {
    inner: Arc<dyn Vault>,
    port: u16,
}

const SANDBOX_TOKENS: [(&str, &str); 2] =
    [("neon.api_token", "sandbox-neon-key"), ("fly.api_token", "sandbox-fly-token")];

#[async_trait]
impl Vault for SandboxVault {
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        match sandbox_token(name, self.port) {
            Some(token) => Ok(Some(token)),
            None => self.inner.token(name).await,
        }
    }

    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError> {
        self.inner.credentials().await
    }

    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        self.inner.replace_credentials(service, values).await
    }

    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.digest_key().await
    }

    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.inner.seal(plain).await
    }

    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.open(sealed).await
    }
}
