//! A server that does as it is told, byte by byte, and remembers what arrived.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// What to do with the next request. When the script is over, every request is answered with 200 and `{}`.
#[derive(Debug, Clone)]
pub enum Step {
    /// Close before reading anything.
    CutBefore,
    /// Read the whole request, then close: the work is done, the answer is not.
    CutAfter,
    /// Answer, and keep the connection.
    Answer(Vec<u8>),
    /// Read the request's first byte, then close: it was sent, and nothing was done.
    CutInside,
    /// Answer, then close without having said so.
    AnswerAndClose(Vec<u8>),
    /// Answer, and close so much later without having said so.
    AnswerAndCloseAfter(Vec<u8>, Duration),
    /// Answer byte by byte, without end.
    Drip(Vec<u8>),
    /// Read the request and say nothing.
    Silence,
}

/// What arrived.
#[derive(Debug, Default, Clone)]
pub struct Log {
    pub connections: usize,
    /// Whole requests, head and body.
    pub requests: Vec<String>,
}

impl Log {
    /// How many requests contain the text.
    pub fn count(&self, text: &str) -> usize {
        self.requests.iter().filter(|request| request.contains(text)).count()
    }
}

/// A server on 127.0.0.1; it ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = Arc<Mutex<VecDeque<Step>>>;

impl Server {
    pub async fn start(script: Vec<Step>) -> Self {
        Self::start_with(script, None).await
    }

    pub async fn start_tls(script: Vec<Step>, acceptor: TlsAcceptor) -> Self {
        Self::start_with(script, Some(acceptor)).await
    }

    async fn start_with(script: Vec<Step>, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let script: Script = Arc::new(Mutex::new(script.into()));
        let task = tokio::spawn(accept(listener, script, Arc::clone(&log), acceptor));
        Self { address, log, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v2/projects", self.address)
    }

    pub fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }
}

async fn accept(
    listener: TcpListener,
    script: Script,
    log: Arc<Mutex<Log>>,
    acceptor: Option<TlsAcceptor>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        log.lock().unwrap().connections += 1;
        let (script, log, acceptor) = (Arc::clone(&script), Arc::clone(&log), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => converse(stream, &script, &log).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, &script, &log).await;
                    }
                }
            }
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, script: &Script, log: &Mutex<Log>) {
    let mut stream = BufReader::new(stream);
    loop {
        let next = script.lock().unwrap().front().cloned();
        if matches!(next, Some(Step::CutBefore | Step::CutInside)) {
            script.lock().unwrap().pop_front();
            if matches!(next, Some(Step::CutInside)) {
                let _ = stream.read_u8().await;
            }
            return;
        }
        let Some(request) = read_request(&mut stream).await else { return };
        log.lock().unwrap().requests.push(request);
        let step = script.lock().unwrap().pop_front();
        if !act(&mut stream, step.unwrap_or_else(|| Step::Answer(answer(200, "{}")))).await {
            return;
        }
    }
}

/// Does the step; says whether the connection goes on.
async fn act(stream: &mut (impl AsyncWrite + Unpin), step: Step) -> bool {
    match step {
        Step::Answer(bytes) => stream.write_all(&bytes).await.is_ok(),
        Step::AnswerAndClose(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Step::AnswerAndCloseAfter(bytes, delay) => {
            let _ = stream.write_all(&bytes).await;
            sleep(delay).await;
            let _ = stream.shutdown().await;
            false
        }
        Step::Drip(head) => {
            let _ = stream.write_all(&head).await;
            while stream.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
            false
        }
        Step::Silence => std::future::pending().await,
        Step::CutBefore | Step::CutInside | Step::CutAfter => false,
    }
}

/// Head and body; `None` when the client closed.
async fn read_request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// An answer of a well-behaved server.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    answer_with(status, "", body)
}

/// An answer with more headers, each ended by `\r\n`.
pub fn answer_with(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Some\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}
