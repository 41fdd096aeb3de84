//! A client that checks every Neon answer against the vendor's document, where that is at hand.

use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::openapi;

/// Talks to one sandbox.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: Http<HttpConnector, Full<bytes::Bytes>>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// JSON, or a string holding whatever else came.
    pub body: Value,
}

/// The connection ended without an answer.
#[derive(Debug)]
pub struct Lost;

impl Client {
    pub fn new(base: &str) -> Self {
        // A fresh connection for each request, so that a cut one is never tried again unseen.
        let mut builder = Http::builder(TokioExecutor::new());
        let http = builder.pool_max_idle_per_host(0).retry_canceled_requests(false).build_http();
        Self { base: base.to_owned(), http }
    }

    pub async fn neon(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        self.neon_if_any(key, method, path, body).await.expect("an answer")
    }

    /// Like `neon`, for a connection that may be cut.
    pub async fn neon_if_any(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Answer, Lost> {
        let answer =
            self.send(Some(key), method, &format!("/neon/api/v2{path}"), &body, &[]).await?;
        if answer.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind == "application/json") {
            openapi::check(method, path, answer.status, &answer.body);
        }
        Ok(answer)
    }

    pub async fn send(
        &self,
        key: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Lost> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.body(Full::new(bytes.into())).unwrap();
        let answer = self.http.request(request).await.map_err(|_| Lost)?;
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(|_| Lost)?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| text())
        };
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

impl Answer {
    /// Itself, if it has this status.
    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Itself, if it is the vendor's error with this status, code and message.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str, message: &str) -> Self {
        let refused = self.ok(status);
        assert_eq!(refused.body["code"], code, "{}", refused.body);
        assert_eq!(refused.body["message"], message);
        assert!(refused.body["request_id"].is_string());
        refused
    }

    /// The string at a JSON pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text at {pointer} in {}", self.body)).to_owned()
    }

    /// The strings under `field` in the list called `list`.
    #[track_caller]
    pub fn each(&self, list: &str, field: &str) -> Vec<String> {
        let items =
            self.body[list].as_array().unwrap_or_else(|| panic!("no {list} in {}", self.body));
        items.iter().map(|it| it[field].as_str().unwrap_or_default().to_owned()).collect()
    }
}
