//! A proxy between `ss` and the sandbox that lets every request pass but one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// What happens to the request that is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The run is killed when the request arrives, and the request goes no further.
    KilledBefore,
    /// The cloud has done it, and the run is killed before it hears of that.
    KilledAfter,
    /// The run is killed as soon as it was sent the answer.
    KilledAnswered,
    /// The connection ends before the request goes any further.
    CutBefore,
    /// The connection ends after the cloud has done it.
    CutAfter,
    /// The cloud has done it, and nothing is heard of it until the client gives up.
    Silent,
    /// Another answer; the cloud never sees the request.
    Answered(u16),
    /// The cloud has done it, and a gateway answers that something went wrong.
    AnsweredAfter(u16),
    /// It arrives twice.
    Twice,
    /// What was true when this was asked for the first time.
    Stale,
}

/// A run whose process can be killed from another thread.
pub type Victim = Arc<Mutex<Child>>;

/// Passes everything on, but for the request that a fault is meant for.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

struct Shared {
    sandbox: u16,
    over: AtomicBool,
    watch: Mutex<Watch>,
}

#[derive(Default)]
struct Watch {
    victim: Option<Victim>,
    planned: Option<(usize, Fault)>,
    requests: Vec<String>,
    first_answers: HashMap<String, Vec<u8>>,
    is_done: bool,
}

impl Proxy {
    pub fn start(sandbox: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (over, watch) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { sandbox, over, watch });
        let served = shared.clone();
        let accepting = thread::spawn(move || {
            for client in listener.incoming() {
                if served.over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), served) = (client, served.clone()) else { continue };
                // A client that goes away in the middle is what this is about.
                thread::spawn(move || served.pass(client).unwrap_or_default());
            }
        });
        Self { port, shared, accepting: Some(accepting) }
    }

    /// Begins to count anew; the request of this number, from 0, is spoiled.
    pub fn expect(&self, planned: Option<(usize, Fault)>) {
        *self.shared.watch() = Watch { planned, ..Watch::default() };
    }

    /// Whom to kill.
    pub fn watch(&self, victim: &Victim) {
        self.shared.watch().victim = Some(victim.clone());
    }

    /// The requests since the count began: method and path.
    pub fn requests(&self) -> Vec<String> {
        self.shared.watch().requests.clone()
    }

    /// Whether the request came that was to be spoiled.
    pub fn is_done(&self) -> bool {
        self.shared.watch().is_done
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; whether it is answered does not matter.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().expect("no thread panicked")
    }

    fn kill(&self) {
        let victim = self.watch().victim.clone();
        if let Some(victim) = victim {
            // One that ended already is as dead.
            let _ = victim.lock().expect("no thread panicked").kill();
        }
    }

    /// One request, one connection: what the client sends is read whole, and so is the answer.
    fn pass(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some((line, request)) = read_request(&mut client)? else { return Ok(()) };
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let fault = if path.starts_with("/_control") { None } else { self.count(&line, &path) };
        let forward = || self.forward(&request);
        let answer = match fault {
            Some(Fault::KilledBefore) => {
                self.kill();
                return Ok(());
            }
            Some(Fault::KilledAfter) => return forward().map(|_| self.kill()),
            Some(Fault::CutBefore) => return Ok(()),
            Some(Fault::CutAfter) => return forward().map(drop),
            Some(Fault::Silent) => {
                forward()?;
                // Ends when the client closes.
                return client.read_to_end(&mut Vec::new()).map(drop);
            }
            Some(Fault::Answered(status)) => refusal(status, &path),
            Some(Fault::AnsweredAfter(status)) => forward().map(|_| refusal(status, &path))?,
            Some(Fault::Twice) => {
                let first = forward()?;
                forward()?;
                first
            }
            Some(Fault::Stale) => {
                let first = self.watch().first_answers.get(&line).cloned();
                first.map_or_else(|| Ok(refusal(404, &path)), Ok::<_, std::io::Error>)?
            }
            None | Some(Fault::KilledAnswered) => forward()?,
        };
        self.watch().first_answers.entry(line).or_insert_with(|| answer.clone());
        client.write_all(&answer)?;
        client.shutdown(Shutdown::Write)?;
        if fault == Some(Fault::KilledAnswered) {
            self.kill();
        }
        Ok(())
    }

    fn count(&self, line: &str, path: &str) -> Option<Fault> {
        let method = line.split(' ').next().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let mut watch = self.watch();
        let number = watch.requests.len();
        let what = format!("{method} {path}");
        let may_come_twice = may_come_twice(&what);
        watch.requests.push(what);
        let (_, fault) = watch.planned.filter(|(planned, _)| *planned == number)?;
        // It was chosen for another request, and this run asks one more or one less before it.
        if fault == Fault::Twice && !may_come_twice {
            return None;
        }
        watch.is_done = true;
        Some(fault)
    }

    fn forward(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.sandbox))?;
        server.write_all(request)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// The request line and the whole request, made the only one of its connection.
fn read_request(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    client.set_read_timeout(Some(Duration::from_secs(90)))?;
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut piece)? {
            0 => return Ok(None),
            length => bytes.extend_from_slice(&piece[..length]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let is = |line: &&str, name: &str| line.to_ascii_lowercase().starts_with(name);
    let length = head.lines().find(|line| is(line, "content-length:"));
    let length = length.and_then(|line| line.split(':').nth(1)?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        match client.read(&mut piece)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
    let mut lines = head.lines().filter(|line| !line.is_empty() && !is(line, "connection:"));
    let line = lines.next().unwrap_or_default().to_owned();
    let mut request = format!("{line}\r\nconnection: close\r\n");
    lines.for_each(|line| request.extend([line, "\r\n"]));
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(&bytes[end..]);
    Ok(Some((line, request)))
}

/// Whether a vendor can bear it when this arrives twice. To make a project or to assign an address has no key by which a
/// repetition could be told from a second wish; TLS does not repeat by itself.
pub fn may_come_twice(what: &str) -> bool {
    what != "POST /neon/api/v2/projects" && !what.ends_with("/ip_assignments")
}

/// An answer in the words of the vendor whose path it is.
fn refusal(status: u16, path: &str) -> Vec<u8> {
    let neon = match status {
        404 => r#"{"request_id":"r","code":"","message":"not found"}"#,
        423 => {
            r#"{"request_id":"r","code":"","message":"project already has running conflicting operations, scheduling of new ones is prohibited"}"#
        }
        429 => r#"{"request_id":"r","code":"TOO_MANY_REQUESTS","message":"too many requests"}"#,
        _ => r#"{"request_id":"r","code":"","message":"something went wrong"}"#,
    };
    let fly = match status {
        404 => r#"{"error":"not found"}"#,
        409 => r#"{"error":"aborted: concurrent change"}"#,
        429 => r#"{"error":"rate limit exceeded"}"#,
        _ => r#"{"error":"internal server error"}"#,
    };
    let body = if path.starts_with("/neon") { neon } else { fly };
    let wait = if status == 429 { "retry-after: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} Spoiled\r\ncontent-type: application/json\r\n{wait}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
