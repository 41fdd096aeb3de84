//! What every request passes before it reaches a vendor: host check, faults, journal, log.
//!
//! An injected cut is an `Err`, which makes the HTTP server close the connection without a byte.
//! Requests to `/_control` are neither harmed nor recorded; bodies to `/app` are not held back.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tower_service::Service;

use crate::control;
use crate::faults::{Answer, Cut, Fault};
use crate::journal::{self, Entry};
use crate::server::Cloud;
use crate::shared::Shared;

const BODY_BYTES_MAX: usize = 16 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut by an injected fault")]
pub(crate) struct CutConnection;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The front of one cloud; clones are the same.
#[derive(Clone)]
pub(crate) struct Front {
    cloud: Cloud,
    shared: Shared,
    control: Router,
}

impl Front {
    pub(crate) fn new(cloud: Cloud) -> Self {
        Self { shared: cloud.shared.clone(), control: control::router(cloud.clone()), cloud }
    }

    /// Answers one request, or cuts the connection.
    pub(crate) async fn answer(
        self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, CutConnection> {
        request.extensions_mut().insert(Peer(peer));
        if !is_local_name(request.headers()) {
            return Ok(refuse(StatusCode::FORBIDDEN, "the sandbox answers to local names only"));
        }
        let path = request.uri().path().to_owned();
        if path.starts_with("/_control") {
            return Ok(send(self.control, request.map(Body::new)).await);
        }
        let mut entry = self.entry(&request);
        let request = if path.starts_with("/app/") {
            request.map(Body::new)
        } else {
            let (parts, body) = request.into_parts();
            let Ok(bytes) = read(body).await else {
                return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE, "request body too large"));
            };
            entry.body = journal::body_shown(&path, &bytes);
            Request::from_parts(parts, Body::from(bytes))
        };
        let fault = self.shared.faults.next(request.method(), &path);
        entry.fault.clone_from(&fault);
        let answer = self.with_fault(request, fault).await;
        self.finish(entry, answer)
    }

    async fn with_fault(
        &self,
        mut request: Request<Body>,
        fault: Option<Fault>,
    ) -> Result<Response<Body>, CutConnection> {
        let Some(fault) = fault else { return Ok(self.route(request).await) };
        match fault {
            Fault::Cut(Cut::CutBefore) => Err(CutConnection),
            Fault::Cut(Cut::CutAfter) => {
                self.route(request).await;
                Err(CutConnection)
            }
            Fault::Answer(answer) => {
                let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
                if answer.after {
                    self.route(request).await;
                }
                Ok(injected(&answer, &path, &headers))
            }
            Fault::Delay(delay) if delay.after => {
                let answer = self.route(request).await;
                self.shared.clock.sleep(delay.delay_ms).await;
                Ok(answer)
            }
            Fault::Delay(delay) => {
                self.shared.clock.sleep(delay.delay_ms).await;
                Ok(self.route(request).await)
            }
            Fault::Operation(_) | Fault::Unavailable(_) => {
                request.extensions_mut().insert(fault);
                Ok(self.route(request).await)
            }
        }
    }

    async fn route(&self, request: Request<Body>) -> Response<Body> {
        send(self.cloud.vendors(), request).await
    }

    fn entry(&self, request: &Request<Incoming>) -> Entry {
        Entry {
            seq: 0,
            at_ms: self.shared.clock.now_ms(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: journal::headers_shown(request.headers()),
            body: Value::Null,
            status: None,
            fault: None,
        }
    }

    fn finish(
        &self,
        mut entry: Entry,
        answer: Result<Response<Body>, CutConnection>,
    ) -> Result<Response<Body>, CutConnection> {
        entry.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        let status = entry.status.map_or_else(|| "cut".to_owned(), |status| status.to_string());
        self.shared.log.line(&format!("{} {} {status}", entry.method, entry.path));
        self.shared.journal.record(entry);
        answer
    }
}

async fn send(mut router: Router, request: Request<Body>) -> Response<Body> {
    // An axum router is always ready and never fails.
    match router.call(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

async fn read(body: Incoming) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Limited::new(body, BODY_BYTES_MAX).collect().await?.to_bytes())
}

/// Only names that can mean this machine: a web page must not reach us by rebinding its own name.
fn is_local_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn injected(fault: &Answer, path: &str, headers: &HeaderMap) -> Response<Body> {
    let (kind, body) = match &fault.body {
        Some(Value::String(text)) => ("text/html; charset=utf-8", text.clone()),
        Some(value) => ("application/json", value.to_string()),
        None if fault.status == 524 => {
            ("text/html; charset=utf-8", "<html>CloudFlare error page</html>".to_owned())
        }
        None => ("application/json", vendor_error(fault.status, path, headers).to_string()),
    };
    let mut answer = Response::builder()
        .status(fault.status)
        .header(header::CONTENT_TYPE, fault.content_type.as_deref().unwrap_or(kind));
    if let Some(after) = &fault.retry_after {
        let after = after.as_str().map_or_else(|| after.to_string(), str::to_owned);
        answer = answer.header(header::RETRY_AFTER, after);
    }
    answer.body(Body::from(body)).unwrap_or_else(|error| {
        refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the injected answer is unusable: {error}"),
        )
    })
}

fn vendor_error(status: u16, path: &str, headers: &HeaderMap) -> Value {
    let reason = match status {
        429 => "too many requests".to_owned(),
        _ => StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("injected fault")
            .to_lowercase(),
    };
    if path.starts_with("/neon") {
        json!({"request_id": request_id(headers), "code": "", "message": reason})
    } else {
        json!({"error": reason})
    }
}

/// The id a Neon error carries: the client's own, or a fresh one.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
        .map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn refuse(status: StatusCode, why: &str) -> Response<Body> {
    let mut answer = Response::new(Body::from(json!({"error": why}).to_string()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, name.parse().unwrap());
        is_local_name(&headers)
    }

    #[test]
    fn only_local_names_are_answered() {
        for name in ["127.0.0.1:4400", "localhost", "api.localhost:1", "[::1]:4400"] {
            assert!(host(name), "{name}");
        }
        for name in ["evil.example:4400", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1"]
        {
            assert!(!host(name), "{name}");
        }
    }
}
