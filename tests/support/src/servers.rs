//! Real servers on 127.0.0.1 for the stores that machines share; each is stopped when it is dropped.
//!
//! A program that is missing skips a test loudly. Where `SS_TEST_TOOLS` is set it is a failure instead: then somebody
//! promised that all are there.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Whom PostgreSQL runs as where we are root, which it refuses: `nobody`.
const NOBODY: u32 = 65_534;
/// How often to look whether a server answers, and how long to wait between.
const LOOKS: u32 = 600;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// moto's server: the S3 API with conditional writes, in memory, in Python.
pub struct S3Server {
    child: Child,
    port: u16,
}

impl S3Server {
    /// Starts one with a bucket; `None`, said loudly, when it is not installed.
    pub fn start(bucket: &str) -> Option<Self> {
        let program = std::env::var_os("SS_TEST_TOOLS")
            .map(|tools| PathBuf::from(tools).join("python/bin/moto_server"));
        let program = present(program, "moto_server, of tests/cli/tools/install.sh,")?;
        let port = free_port();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let server = Self { child, port };
        server.make(bucket);
        Some(server)
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn make(&self, bucket: &str) {
        use std::io::{Read, Write};
        let request = format!(
            "PUT /{bucket} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\nAuthorization: \
             AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n"
        );
        let mut answer = String::new();
        let mut socket = reached(self.port);
        socket.write_all(request.as_bytes()).expect("moto listens");
        socket.read_to_string(&mut answer).expect("moto answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// A PostgreSQL server with a cluster of its own.
pub struct PostgresServer {
    child: Child,
    port: u16,
    data: PathBuf,
}

impl PostgresServer {
    /// Starts one on a new cluster in a folder below this one; `None`, said loudly, when it is not installed.
    pub fn start(below: &Path) -> Option<Self> {
        let bin = present(postgres_bin(), "PostgreSQL")?;
        let data = below.join("cluster");
        std::fs::create_dir(&data).expect("a folder");
        let root = is_root(&data);
        if root {
            std::fs::set_permissions(below, PermissionsExt::from_mode(0o755)).expect("permissions");
            chown(&data, Some(NOBODY), Some(NOBODY)).expect("another owner");
        }
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command.current_dir(&data).stdout(Stdio::null()).stderr(Stdio::null());
            if root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let made = command("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"])
            .status();
        assert!(made.expect("initdb runs").success(), "initdb failed");
        let port = free_port();
        let child = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-k", "", "-F", "-p", &port.to_string()])
            .spawn()
            .expect("postgres starts");
        let server = Self { child, port, data };
        for _ in 0..LOOKS {
            let mut ready = Command::new(bin.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            if ready.status().expect("pg_isready runs").success() {
                return Some(server);
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        panic!("PostgreSQL in {} does not answer", server.data.display());
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn present(path: Option<PathBuf>, what: &str) -> Option<PathBuf> {
    let path = path.filter(|path| path.exists());
    if path.is_none() {
        assert!(std::env::var_os("SS_TEST_TOOLS").is_none(), "{what} is not installed");
        eprintln!("skipped: {what} is not installed");
    }
    path
}

fn postgres_bin() -> Option<PathBuf> {
    if let Some(bin) = std::env::var_os("SS_SANDBOX_PG_BIN") {
        return Some(PathBuf::from(bin));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).max()
}

fn is_root(ours: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(ours).expect("our folder").uid() == 0
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

fn reached(port: u16) -> TcpStream {
    for _ in 0..LOOKS {
        if let Ok(socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            return socket;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    panic!("nothing listens on port {port}");
}
