//! A sender, requests for it, and a clock on which waiting takes no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ss_core::redact::{Redacted, Secret};
use ss_egress::{EgressOptions, HttpEgress};
use ss_ports::{Clock, Egress, EgressError, Exchange, HttpRequest, RetryRules};

/// Real time, but nobody waits: only how long they would have is kept.
#[derive(Default)]
pub struct HastyClock {
    pub slept_ms: AtomicU64,
}

#[async_trait]
impl Clock for HastyClock {
    fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.slept_ms.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn random(&self, count: usize) -> Vec<u8> {
        vec![0; count]
    }
}

pub fn egress() -> HttpEgress {
    egress_with(EgressOptions::default())
}

pub fn egress_with(options: EgressOptions) -> HttpEgress {
    HttpEgress::new(options, Arc::new(HastyClock::default()))
}

pub fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest {
        connection: "neon-api".into(),
        operation: "getProject".into(),
        service: None,
        route: "/".into(),
        method: "GET".into(),
        url: url.into(),
        local: true,
        authorization: Some(Secret::from("Bearer canary-token")),
        headers: Vec::new(),
        body: None,
        timeout_ms: 20_000,
        retry: RetryRules {
            safe: true,
            always: vec![423, 503],
            answers: Vec::new(),
            attempts: 3,
            total_ms: 60_000,
        },
        rate: None,
    }
}

pub fn post(url: impl Into<String>, body: &str) -> HttpRequest {
    let mut request = get(url);
    request.method = "POST".into();
    request.operation = "createProject".into();
    request.body = Some(Redacted::new(body.as_bytes().to_vec()));
    request.retry.safe = false;
    request
}

/// The request with so little time that a silent server runs out of it.
pub fn hurried(mut request: HttpRequest) -> HttpRequest {
    request.timeout_ms = 1_000;
    request.retry.total_ms = 1_000;
    request.retry.attempts = 1;
    request
}

pub fn once(mut request: HttpRequest) -> HttpRequest {
    request.retry.attempts = 1;
    request
}

pub fn failure(exchange: Exchange) -> EgressError {
    let error = exchange.result.expect_err("an answer where none was due");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    error
}

pub async fn failure_of(egress: &HttpEgress, request: HttpRequest) -> EgressError {
    failure(egress.send(request).await)
}

pub fn body(exchange: &Exchange) -> &[u8] {
    exchange.result.as_ref().unwrap().body.expose()
}

pub fn status(exchange: &Exchange) -> u16 {
    exchange.result.as_ref().unwrap().status
}

macro_rules! assert_failure {
    ($error:expr, $variant:ident) => {
        let error = $error;
        assert!(matches!(error, ss_ports::EgressError::$variant(_)), "{error:?}");
    };
}
pub(crate) use assert_failure;
