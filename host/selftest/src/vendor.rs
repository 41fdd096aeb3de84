//! The vendor: it writes down every request and answers with whatever it was told, credentials included.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// The password of a thing that the vendor made. One text for all, so that all can be searched for it.
pub(crate) const BORN: &str = "born-with-the-thing-0451";

/// What terminals understand and people do not see.
const TRICKS: &str = "\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\r\n";

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `METHOD /path?query`, as on the wire, below the case's own prefix.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

type Requests = BTreeMap<String, Vec<Request>>;
type Log = Arc<Mutex<Requests>>;

/// The vendor of all cases: the first segments of a path, `/CASE/PLUGIN`, say whose request it is.
pub(crate) struct Vendor {
    pub(crate) port: u16,
    log: Log,
}

impl Vendor {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let log = Log::default();
        let written = log.clone();
        // It lives as long as the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let log = written.clone();
                thread::spawn(move || serve(client, &log));
            }
        });
        Ok(Self { port, log })
    }

    /// What has arrived under a prefix such as `/case/hostile`.
    pub(crate) fn requests(&self, prefix: &str) -> Vec<Request> {
        kept(&self.log).get(prefix).cloned().unwrap_or_default()
    }

    /// Every prefix that was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        kept(&self.log).keys().cloned().collect()
    }
}

/// What was written down; a connection that ended in a panic spoils nothing.
fn kept(log: &Log) -> MutexGuard<'_, Requests> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(client: TcpStream, log: &Log) {
    // The cut of a connection ends its thread; what was written down is what counts.
    let _ = serve_all(client, log);
}

fn serve_all(client: TcpStream, log: &Log) -> io::Result<()> {
    let mut writer = client.try_clone()?;
    let mut reader = BufReader::new(client);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.and_then(|(_, text)| text.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let (prefix, line) = split(line.trim_end());
        let request = Request { line, headers, body };
        let number = {
            let mut log = kept(log);
            let known = log.entry(prefix).or_default();
            known.push(request.clone());
            known.iter().filter(|request| request.line == "POST /things").count()
        };
        let (status, headers, body) = answer(&request, number);
        write!(
            writer,
            "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        )?;
        writer.write_all(body.as_bytes())?;
    }
}

/// `METHOD /case/plugin/rest HTTP/1.1` into `/case/plugin` and `METHOD /rest`.
fn split(line: &str) -> (String, String) {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut pieces = target.splitn(4, '/').skip(1);
    let case = pieces.next().unwrap_or_default();
    let plugin = pieces.next().unwrap_or_default();
    let rest = pieces.next().unwrap_or_default();
    (format!("/{case}/{plugin}"), format!("{method} /{rest}"))
}

fn answer(request: &Request, number: usize) -> (u16, String, String) {
    let (method, path) = request.line.split_once(' ').unwrap_or_default();
    match (method, path) {
        ("POST", "/things") => {
            let made = json!({
                "id": format!("thing-{number}"), "password": BORN, "again": format!("x{BORN}y"),
                "sent": String::from_utf8_lossy(&request.body),
            });
            (201, String::new(), made.to_string())
        }
        ("POST", "/echo") => echo(request),
        ("GET", "/things") => (
            200,
            String::new(),
            json!([{"id": "thing-of-another", "mark": "ss-other"}]).to_string(),
        ),
        ("GET", "/things/tricks") => (200, String::new(), TRICKS.to_owned()),
        ("GET", path) if path.ends_with("/password") => {
            (200, String::new(), json!({"password": BORN}).to_string())
        }
        ("DELETE", _) => (204, String::new(), String::new()),
        _ => (200, String::new(), json!({"id": "thing-1"}).to_string()),
    }
}

/// Everything that came, in the spellings a leak takes.
fn echo(request: &Request) -> (u16, String, String) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let credential = request.header("authorization");
    let token = credential.rsplit(' ').next().unwrap_or_default();
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    let told: Vec<Value> = vec![
        json!(credential),
        json!(token),
        json!(STANDARD.encode(credential)),
        json!(STANDARD.encode(format!("me:{token}"))),
        json!(hex),
        json!({ token: token }),
        json!(request.headers),
    ];
    (200, format!("x-echo: {credential}\r\n"), json!(told).to_string())
}
