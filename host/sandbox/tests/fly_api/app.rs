//! The program behind the images of the Fly tests: a tiny HTTP server on `$PORT`.
//!
//! Answers `/health` (500 after `/sick`, 200 after `/well`), `/env`, `/who` (machine id, version),
//! `/path` (what it was asked), `/drip` (one chunk now, one on the next request to `/more`),
//! `/die` (exits without answering) and `/hang` (never answers). Prints a line on both outputs.
//! As `host DIR` it is a local Fly itself, so that a test can kill one without dying.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ss_sandbox::clock::Clock;
use ss_sandbox::fly::{self, Fly};
use ss_sandbox::sandbox_yaml::Images;

static SICK: AtomicBool = AtomicBool::new(false);
static MORE: AtomicU32 = AtomicU32::new(0);

fn main() -> std::io::Result<()> {
    if let [_, mode, dir] = std::env::args().collect::<Vec<_>>().as_slice()
        && mode == "host"
    {
        return host(Path::new(dir));
    }
    let port: u16 = variable("PORT").parse().unwrap_or(0);
    SICK.store(variable("SICK") == "1", Ordering::SeqCst);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {port}");
    eprintln!("version {}", variable("VERSION"));
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

struct Request {
    line: String,
    path: String,
    headers: String,
    body: String,
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let lower = header.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        headers.push_str(&lower);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    Some(Request { line, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn answer(mut stream: TcpStream) {
    let Some(request) = read(&stream) else { return };
    let path = request.path.split('?').next().unwrap_or_default();
    let (status, body) = match path {
        "/health" if SICK.load(Ordering::SeqCst) => (500, "sick".to_owned()),
        "/sick" => (200, SICK.swap(true, Ordering::SeqCst).to_string()),
        "/well" => (200, SICK.swap(false, Ordering::SeqCst).to_string()),
        "/env" => (200, std::env::vars().map(|(k, v)| format!("{k}={v}\n")).collect()),
        "/who" => (200, format!("{} {}", variable("FLY_MACHINE_ID"), variable("VERSION"))),
        "/path" => (200, format!("{}{}\n{}", request.line, request.headers, request.body)),
        "/more" => (200, MORE.fetch_add(1, Ordering::SeqCst).to_string()),
        "/drip" => return drip(stream),
        "/die" => std::process::exit(3),
        "/hang" => {
            std::thread::sleep(Duration::from_secs(600));
            return;
        }
        _ => (200, "ok".to_owned()),
    };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
}

/// Sends the second chunk only when somebody has asked for it, so a buffering proxy is found out.
fn drip(mut stream: TcpStream) {
    let before = MORE.load(Ordering::SeqCst);
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    for _ in 0..600 {
        if MORE.load(Ordering::SeqCst) > before {
            let _ = stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n");
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Serves a local Fly kept in `dir` until killed; prints its address.
fn host(dir: &Path) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    let program = program.display();
    let images = format!(
        "images:\n  'api:v1': {{ command: ['{program}'] }}\n  \
         family: {{ command: [sh, -c, 'sleep 600 & exec {program}'] }}\n"
    );
    let settings = serde_json::json!({ "rate_limits": false, "boot_ms": 20, "eager_check_ms": 20 });
    tokio::runtime::Runtime::new()?.block_on(async {
        let fly = Fly::open(dir, Clock::real(), Images::from_text(images, "/"))?;
        fly.set_settings(&settings).map_err(std::io::Error::other)?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        let router = axum::Router::new().nest("/fly/v1", fly::router(fly));
        axum::serve(listener, router).await
    })
}
