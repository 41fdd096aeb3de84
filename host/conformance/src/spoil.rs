//! The way out, spoiled at one request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ss_core::redact::Redacted;
use ss_ports::{Egress, EgressError, Exchange, HttpReply, HttpRequest};
use tokio::sync::Notify;

use crate::clock::QuickClock;
use crate::crowd::Crowd;
use crate::fault::Fault;
use crate::log::Log;

/// How late a slow answer is.
const LATE: Duration = Duration::from_secs(25);
/// How many reads a lagging vendor answers as before.
const LAGGING_READS: usize = 2;

/// One request that goes wrong: its number, from 1, and how.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// Which request.
    pub number: usize,
    /// What happens to it.
    pub fault: Fault,
}

/// A request that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The HTTP method.
    pub method: String,
    /// The operation.
    pub operation: String,
}

/// First answers by what was asked: what a vendor that lags behind still says.
pub type Remembered = Arc<Mutex<BTreeMap<String, HttpReply>>>;

/// An [`Egress`] that spoils one request.
pub struct Spoiler {
    inner: Arc<dyn Egress>,
    log: Arc<Log>,
    clock: Arc<QuickClock>,
    trouble: Option<Trouble>,
    remembered: Remembered,
    crowd: Option<Arc<Crowd>>,
    churning: AtomicBool,
    asked: Mutex<Vec<Asked>>,
    lagging: AtomicUsize,
    met: AtomicBool,
    killed: Notify,
}

impl Spoiler {
    pub fn new(
        inner: Arc<dyn Egress>,
        log: Arc<Log>,
        clock: Arc<QuickClock>,
        remembered: Remembered,
        trouble: Option<Trouble>,
    ) -> Self {
        Self {
            inner,
            log,
            clock,
            trouble,
            remembered,
            crowd: None,
            churning: AtomicBool::new(false),
            asked: Mutex::default(),
            lagging: AtomicUsize::new(0),
            met: AtomicBool::new(false),
            killed: Notify::new(),
        }
    }

    /// Among somebody else's resources.
    #[must_use]
    pub fn among(self, crowd: Option<Arc<Crowd>>) -> Self {
        Self { crowd, ..self }
    }

    /// Ends when the run is to be killed.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    /// What was asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// Whether the request of the trouble was met.
    pub fn met(&self) -> bool {
        self.met.load(Ordering::SeqCst)
    }

    fn number(&self, request: &HttpRequest) -> usize {
        let mut asked = lock(&self.asked);
        let (method, operation) = (request.method.clone(), request.operation.clone());
        asked.push(Asked { method, operation });
        asked.len()
    }

    async fn spoiled(&self, fault: Fault, request: HttpRequest) -> Exchange {
        self.log
            .line(format!("! {} {} goes wrong here: {fault}", request.method, request.operation));
        match fault {
            Fault::TooMany => {
                said(429, &[("retry-after", "1")], r#"{"message":"too many requests"}"#)
            }
            Fault::Internal => said(500, &[], r#"{"message":"internal error"}"#),
            Fault::Unavailable => said(503, &[], r#"{"message":"unavailable"}"#),
            Fault::Locked => said(423, &[], r#"{"message":"another operation is in progress"}"#),
            Fault::Html => said(
                502,
                &[("content-type", "text/html")],
                "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
            ),
            Fault::CutBefore => lost(),
            Fault::CutAfter => {
                self.inner.send(request).await;
                lost()
            }
            Fault::CutAndLagging => {
                self.inner.send(request).await;
                self.lagging.store(LAGGING_READS, Ordering::SeqCst);
                lost()
            }
            Fault::CutAndChurning => {
                self.inner.send(request).await;
                self.churning.store(true, Ordering::SeqCst);
                lost()
            }
            Fault::Slow => {
                self.clock.skip(LATE);
                self.inner.send(request).await
            }
            Fault::Truncated => {
                with_body(self.inner.send(request).await, |body| body[..body.len() / 2].to_vec())
            }
            Fault::Malformed => {
                with_body(self.inner.send(request).await, |_| br#"{"id": <<<"#.to_vec())
            }
            Fault::Stale => self.stale(request).await,
            Fault::KilledBefore => self.kill().await,
            Fault::KilledAfter => {
                self.inner.send(request).await;
                self.kill().await
            }
        }
    }

    async fn kill(&self) -> Exchange {
        self.killed.notify_one();
        std::future::pending().await
    }

    async fn stale(&self, request: HttpRequest) -> Exchange {
        let old = lock(&self.remembered).get(&request.url).cloned();
        match old {
            Some(reply) => answer(reply),
            None => self.inner.send(request).await,
        }
    }

    async fn undisturbed(&self, request: HttpRequest) -> Exchange {
        if request.method != "GET" {
            return self.inner.send(request).await;
        }
        if let Some(crowd) = self.crowd.as_ref().filter(|_| self.churning.load(Ordering::SeqCst)) {
            crowd.shift().await;
        }
        let lags = self.lagging.load(Ordering::SeqCst);
        if lags > 0 {
            self.lagging.store(lags - 1, Ordering::SeqCst);
            return self.stale(request).await;
        }
        let url = request.url.clone();
        let exchange = self.inner.send(request).await;
        if let Ok(reply) = &exchange.result {
            lock(&self.remembered).entry(url).or_insert_with(|| reply.clone());
        }
        exchange
    }
}

#[async_trait]
impl Egress for Spoiler {
    async fn send(&self, request: HttpRequest) -> Exchange {
        // The host's own look whether a token is good is none of the provisioner's requests.
        if request.service.is_none() {
            return self.inner.send(request).await;
        }
        let number = self.number(&request);
        match self.trouble.filter(|trouble| trouble.number == number) {
            Some(trouble) => {
                self.met.store(true, Ordering::SeqCst);
                self.spoiled(trouble.fault, request).await
            }
            None => self.undisturbed(request).await,
        }
    }
}

fn said(status: u16, headers: &[(&str, &str)], body: &str) -> Exchange {
    let mut all = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    answer(HttpReply { status, headers: all, body: Redacted::new(body.as_bytes().to_vec()) })
}

fn answer(reply: HttpReply) -> Exchange {
    let bytes = reply.body.expose().len() as u64;
    Exchange { result: Ok(reply), attempts: 1, bytes, duration_ms: 1 }
}

fn lost() -> Exchange {
    let result = Err(EgressError::Lost("the connection was cut".to_owned()));
    Exchange { result, attempts: 1, bytes: 0, duration_ms: 1 }
}

fn with_body(exchange: Exchange, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Exchange {
    let result = exchange.result.map(|reply| {
        let body = Redacted::new(change(reply.body.expose()));
        HttpReply { body, ..reply }
    });
    Exchange { result, ..exchange }
}

/// Nothing here panics while it holds a lock, so a poisoned one is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
