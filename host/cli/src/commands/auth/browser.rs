//! Fly's login in a browser, as its own client does it: a session, a page with a button, and a code that comes back to
//! a port of this machine. The code is worth nothing without the verifier, which never leaves this process.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ss_core::redact::{Redacted, Secret};
use ss_core::text::printable;
use ss_engine::{Failure, Override};
use ss_gate::manifest::Manifest;
use ss_ports::{Egress, HttpRequest, RetryRules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::context::Context;
use crate::error::CommandError;

/// The provisioner whose vendor offers this.
pub const PLUGIN: &str = "fly";
const CONNECTION: &str = "fly-platform";
/// As long as Fly's own client waits.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// A login that was begun.
struct Session {
    id: String,
    auth_url: String,
    verifier: String,
    state: String,
}

/// Walks the person through the login.
pub async fn token(
    context: &Context,
    egress: &dyn Egress,
    manifest: &Manifest,
    overrides: &BTreeMap<String, Override>,
) -> Result<Secret, CommandError> {
    let api = Api::new(egress, manifest, overrides)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| {
        failed(format!("no port of this machine can be opened for the answer: {error}"))
    })?;
    let port = listener.local_addr().map_err(|error| failed(error.to_string()))?.port();
    let session = begin(&api, port).await?;
    eprintln!("Open this page and approve:\n  {}", session.auth_url);
    open_browser(&session.auth_url);
    if !context.quiet {
        eprintln!("Waiting for the approval (Ctrl-C gives up; `--paste` takes a token instead).");
    }
    let code = timeout(WAIT_MAX, code(&listener, &session.state))
        .await
        .map_err(|_| failed("nobody approved the login for fifteen minutes"))??;
    let body = json!({"code": code, "code_verifier": session.verifier});
    let answer = api.post(&format!("/api/v1/cli_sessions/{}/redeem", session.id), &body).await?;
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
    token.map(Secret::from).ok_or_else(|| failed("the answer to the login holds no token"))
}

async fn begin(api: &Api<'_>, port: u16) -> Result<Session, CommandError> {
    let (verifier, state) = (random()?, random()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let body = json!({
        "name": "ss", "signup": false, "target": "auth", "state": state, "redirect_port": port,
        "code_challenge": challenge, "code_challenge_method": "S256",
    });
    let answer = api.post("/api/v1/cli_sessions", &body).await?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let (id, auth_url) = (text("id"), text("auth_url"));
    // Both come from outside: one goes into a path, the other to the browser and the terminal.
    let is_plain = |id: &str| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_page =
        auth_url.starts_with("https://") || (api.local && auth_url.starts_with("http://"));
    if !is_plain(&id) || !is_page || printable(&auth_url, 2_000) != auth_url {
        return Err(failed("the answer to the login is not understood"));
    }
    if answer["pkce"] != true {
        return Err(failed("the login there does not bind its code to this process"));
    }
    Ok(Session { id, auth_url, verifier, state })
}

/// Waits for the browser to come back with the code. Anything else that connects is answered and forgotten.
async fn code(listener: &TcpListener, state: &str) -> Result<String, CommandError> {
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| failed(error.to_string()))?;
        let visit = timeout(Duration::from_secs(10), visit(stream, state)).await;
        if let Ok(Some(code)) = visit {
            return Ok(code);
        }
    }
}

async fn visit(mut stream: TcpStream, state: &str) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < REQUEST_BYTES_MAX {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let code = returned(&head, state);
    let (status, text) = match code {
        Some(_) => ("200 OK", "Approved. You can close this page and go back to the terminal."),
        None => ("404 Not Found", "Nothing here."),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    // A browser that has gone away has no use for the words.
    let _ = stream.write_all(answer.as_bytes()).await;
    code
}

/// The code of `GET /?code=…&state=…`, when the state is ours.
fn returned(head: &[u8], state: &str) -> Option<String> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let query = line.strip_prefix("GET ")?.split(' ').next()?.split_once('?')?.1;
    let value = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decode_str(pair).decode_utf8().ok()?.into_owned())
    };
    if value("state")? == state { value("code") } else { None }
}

fn random() -> Result<String, CommandError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| failed(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens the page where there is a browser; the address was printed in any case.
fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let has_screen = cfg!(target_os = "macos")
        || std::env::var_os("DISPLAY").is_some()
        || std::env::var_os("WAYLAND_DISPLAY").is_some();
    if has_screen {
        let quiet = Stdio::null;
        // Without a browser the person opens the printed address.
        let _ =
            Command::new(program).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
    }
}

struct Api<'e> {
    egress: &'e dyn Egress,
    base: String,
    local: bool,
}

impl<'e> Api<'e> {
    fn new(
        egress: &'e dyn Egress,
        manifest: &Manifest,
        overrides: &BTreeMap<String, Override>,
    ) -> Result<Self, CommandError> {
        if let Some(to) = overrides.get(CONNECTION) {
            return Ok(Self { egress, base: to.base_url.clone(), local: to.local });
        }
        let connection = manifest.connections.iter().find(|known| known.name == CONNECTION);
        let connection = connection.ok_or_else(|| failed("it has no place to log in"))?;
        Ok(Self { egress, base: connection.base_url.clone(), local: false })
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, CommandError> {
        let request = HttpRequest {
            connection: CONNECTION.to_owned(),
            operation: "login".to_owned(),
            service: None,
            route: path.to_owned(),
            method: "POST".to_owned(),
            url: format!("{}{path}", self.base.trim_end_matches('/')),
            local: self.local,
            authorization: None,
            headers: Vec::new(),
            body: Some(Redacted::new(body.to_string().into_bytes())),
            timeout_ms: 15_000,
            retry: RetryRules {
                safe: false,
                always: Vec::new(),
                answers: Vec::new(),
                attempts: 1,
                total_ms: 15_000,
            },
            rate: None,
        };
        let exchange = self.egress.send(request).await;
        let reply = exchange.result.map_err(|error| failed(error.to_string()))?;
        if !(200..300).contains(&reply.status) {
            return Err(failed(format!("{CONNECTION} answered {}", reply.status)));
        }
        serde_json::from_slice(reply.body.expose())
            .map_err(|_| failed(format!("{CONNECTION} did not answer with JSON")))
    }
}

fn failed(why: impl std::fmt::Display) -> CommandError {
    Failure::new("SS0514", format!("the login in the browser failed: {why}; nothing was stored"))
        .hint("`ss auth fly --paste` takes a token that was made by hand")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_our_own_login_counts() {
        let code = |line: &str| returned(format!("{line}\r\nhost: x\r\n\r\n").as_bytes(), "S-_");
        assert_eq!(code("GET /?code=abc&state=S%2D_ HTTP/1.1"), Some("abc".to_owned()));
        assert_eq!(code("GET /?state=S-_&code=a%62c HTTP/1.1"), Some("abc".to_owned()));
        for line in [
            "GET /?code=abc&state=T HTTP/1.1",
            "GET /?code=abc HTTP/1.1",
            "GET /?state=S%2D_ HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "POST /?code=abc&state=S%2D_ HTTP/1.1",
            "",
        ] {
            assert_eq!(code(line), None, "{line}");
        }
    }
}
