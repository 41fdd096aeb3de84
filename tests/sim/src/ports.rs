//! Vault, wire and clock of one run: fakes with steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use ss_core::redact::{Redacted, Secret};
use ss_ports::{
    Clock, Egress, EgressError, Event, EventSink, Exchange, HttpReply, HttpRequest, Vault,
    VaultError,
};
use ss_testkit::MemoryVault;

use crate::case::Spoil;
use crate::cloud::{Cloud, reply};
use crate::points::{Course, Kind, Now, Points};

/// Nobody listens.
pub struct Silence;

impl EventSink for Silence {
    fn event(&self, _event: Event) {}
}

/// The wall clock, which may be wrong; waiting is not.
pub struct CourseClock(pub Arc<Course>);

#[async_trait]
impl Clock for CourseClock {
    fn now_ms(&self) -> i64 {
        self.0.wall_ms()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self, count: usize) -> Vec<u8> {
        let mut rng = self.0.rng();
        (0..count).map(|_| rng.u8(..)).collect()
    }
}

/// The vault, with steps.
pub struct SteppedVault {
    pub inner: Arc<MemoryVault>,
    pub points: Arc<Points>,
}

#[async_trait]
impl Vault for SteppedVault {
    async fn token(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        self.inner.token(name).await
    }

    async fn credentials(&self) -> Result<BTreeMap<String, BTreeMap<String, Secret>>, VaultError> {
        self.inner.credentials().await
    }

    async fn replace_credentials(
        &self,
        service: &str,
        values: BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        if self.points.pass(Kind::Write, &format!("vault {service}")).await == Now::Full {
            return Err(VaultError::Unwritable("no space left on device".to_owned()));
        }
        self.inner.replace_credentials(service, values).await?;
        self.points.pass(Kind::Other, &format!("vault {service} written")).await;
        Ok(())
    }

    async fn digest_key(&self) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.digest_key().await
    }

    async fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.inner.seal(plain).await
    }

    async fn open(&self, sealed: &[u8]) -> Result<Redacted<Vec<u8>>, VaultError> {
        self.inner.open(sealed).await
    }
}

/// The way to the cloud. Like the real one it repeats what may be repeated.
pub struct Wire {
    pub cloud: Arc<Cloud>,
    pub points: Arc<Points>,
}

#[async_trait]
impl Egress for Wire {
    async fn send(&self, request: HttpRequest) -> Exchange {
        let mut attempts = 0;
        let result = loop {
            attempts += 1;
            let result = self.once(&request).await;
            let is_bad = match &result {
                Ok(reply) => matches!(reply.status, 429 | 500..),
                Err(_) => true,
            };
            if !(is_bad && request.retry.safe && attempts < request.retry.attempts) {
                break result;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Exchange { result, attempts, bytes: 0, duration_ms: 1 }
    }
}

impl Wire {
    async fn once(&self, request: &HttpRequest) -> Result<HttpReply, EgressError> {
        let lost = || Err(EgressError::Lost("the connection was cut".to_owned()));
        let what = format!("{} {}", request.method, request.url);
        let spoil = match self.points.pass(Kind::Request, &what).await {
            Now::Spoiled(spoil) => Some(spoil),
            _ => None,
        };
        match spoil {
            Some(Spoil::Unreachable) => {
                return Err(EgressError::Unreachable("no route to host".to_owned()));
            }
            Some(Spoil::CutBefore) => return lost(),
            Some(Spoil::Answered(status)) => return Ok(reply(status, &json!({}))),
            _ => {}
        }
        let mut flight = Flight { wire: self, request, has_landed: false };
        self.points.pass(Kind::Other, &format!("{what} is on its way")).await;
        let answer = flight.land();
        self.points.pass(Kind::Answer, &format!("{what} was answered {}", answer.status)).await;
        match spoil {
            Some(Spoil::CutAfter) => lost(),
            Some(Spoil::AnsweredAfter(status)) => Ok(reply(status, &json!({}))),
            _ => Ok(answer),
        }
    }
}

/// A request on its way. It may arrive though its sender has died.
struct Flight<'w> {
    wire: &'w Wire,
    request: &'w HttpRequest,
    has_landed: bool,
}

impl Flight<'_> {
    fn land(&mut self) -> HttpReply {
        self.has_landed = true;
        self.wire.cloud.does(self.request, self.wire.points.course.elapsed_ms())
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.has_landed && self.wire.points.course.rng().bool() {
            self.land();
        }
    }
}
