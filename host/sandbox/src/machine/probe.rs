//! One look at a program's health: an HTTP request or a TCP connection to its port.
//!
//! Absent: time. Interval, grace and timeout belong to the caller, who drops a probe that is late.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const BODY_BYTES_MAX: usize = 1 << 20;

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Passing when a connection is accepted.
    Tcp,
    /// Passing when the answer is 2xx.
    Http {
        /// Request method.
        method: String,
        /// Path and query.
        path: String,
        /// Additional headers.
        headers: Vec<(String, String)>,
    },
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether the program is well.
    pub passing: bool,
    /// The words for a person.
    pub output: String,
}

impl Probe {
    /// Asks the program on loopback port `port`.
    pub async fn look(&self, port: u16) -> Seen {
        let result = match self {
            Self::Tcp => {
                connect(port).await.map(|_| Seen { passing: true, output: "Success".to_owned() })
            }
            Self::Http { method, path, headers } => ask(port, method, path, headers).await,
        };
        result.unwrap_or_else(|output| Seen { passing: false, output })
    }
}

async fn connect(port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|_| format!("dial tcp 127.0.0.1:{port}: connect: connection refused"))
}

async fn ask(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(String, String)],
) -> Result<Seen, String> {
    let stream = TokioIo::new(connect(port).await?);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut request = http::Request::builder().method(method).uri(&path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", format!("127.0.0.1:{port}"));
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    driver.abort();
    let shown: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let output = format!("HTTP {method} http://127.0.0.1:{port}{path}: {status} Output: {shown:?}");
    Ok(Seen { passing: status.is_success(), output })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn server(answer: &'static str) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        port
    }

    fn http() -> Probe {
        Probe::Http { method: "GET".to_owned(), path: "/health".to_owned(), headers: Vec::new() }
    }

    #[tokio::test]
    async fn two_hundred_passes_and_anything_else_does_not() {
        let port = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert!(http().look(port).await.passing);
        let port = server("HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n").await;
        let seen = http().look(port).await;
        assert!(!seen.passing && seen.output.contains("503"), "{seen:?}");
    }

    #[tokio::test]
    async fn nobody_listening_is_critical() {
        let port = crate::machine::process::free_port().unwrap();
        let seen = Probe::Tcp.look(port).await;
        assert!(!seen.passing && seen.output.contains("connection refused"));
    }
}
