//! A lease on a machine: nobody else changes it while we do.
//!
//! Short and refreshed, so that a deploy that dies blocks the next one for seconds only.

use std::time::Duration;

use starsystem_provisioner::{CallErrorKind, Failure, clock, json, log};

use crate::api::Api;
use crate::refusal::{self, Refusal};

/// How long a lease lasts by itself.
const TTL_SECONDS: u32 = 13;
/// A lease older than this is refreshed; with one wait of Fly's in between it is still alive.
const REFRESH_MS: u64 = 5_000;
/// How long to wait for somebody else's lease: longer than one of a deploy that died.
const PATIENCE_MS: u64 = 30_000;
/// How often to ask for it.
const PAUSE: Duration = Duration::from_secs(2);

/// A lease. Give it back with [`release`](Self::release); it ends by itself if that is forgotten.
pub struct Lease<'a> {
    api: &'a Api,
    machine: String,
    nonce: String,
    since_ms: u64,
}

impl<'a> Lease<'a> {
    /// Takes the lease, waiting for somebody else's to end.
    pub fn take(api: &'a Api, machine: &str) -> Result<Self, Failure> {
        let deadline_ms = clock::now_ms() + PATIENCE_MS;
        loop {
            let since_ms = clock::now_ms();
            let failure: Failure = match api.lease(machine, None, TTL_SECONDS) {
                Ok(reply) if reply.is_success() => {
                    let nonce = nonce(&reply.value()?)?;
                    return Ok(Self { api, machine: machine.to_owned(), nonce, since_ms });
                }
                Ok(reply) => {
                    let failure = api.failure(&reply, "lease a machine");
                    match refusal::of(&reply) {
                        Refusal::Leased | Refusal::Transient => failure,
                        _ => return Err(failure),
                    }
                }
                // If it was taken after all, its nonce is lost, and it has to end.
                Err(error) if error.kind == CallErrorKind::OutcomeUnknown => error.into(),
                Err(error) => return Err(error.into()),
            };
            if since_ms >= deadline_ms {
                return Err(failure);
            }
            log!("{}; asking again", failure.message);
            clock::wait(PAUSE);
        }
    }

    /// The nonce, after refreshing the lease if it is no longer young.
    pub fn nonce(&mut self) -> Result<&str, Failure> {
        if clock::now_ms().saturating_sub(self.since_ms) >= REFRESH_MS {
            self.refresh()?;
        }
        Ok(&self.nonce)
    }

    fn refresh(&mut self) -> Result<(), Failure> {
        let asked_ms = clock::now_ms();
        let refreshed = self.api.lease(&self.machine, Some(&self.nonce), TTL_SECONDS);
        match refreshed {
            Ok(reply) if reply.is_success() => {
                if let Ok(nonce) = nonce(&reply.value()?) {
                    self.nonce = nonce;
                }
                self.since_ms = asked_ms;
            }
            // It ended, as it does when this run was interrupted and goes on now: take it anew.
            _ => *self = Self::take(self.api, &self.machine)?,
        }
        Ok(())
    }

    /// Gives it back. A lease that cannot be given back ends by itself.
    pub fn release(self) {
        if let Err(error) = self.api.release(&self.machine, &self.nonce) {
            log!("the lease on machine {} ends by itself: {}", self.machine, error.message);
        }
    }
}

/// The nonce, inside Fly's wrapper or without it.
fn nonce(body: &starsystem_provisioner::serde_json::Value) -> Result<String, Failure> {
    let nonce = json::text_at(body, "/data/nonce").or_else(|| json::text_at(body, "/nonce"));
    nonce.map(str::to_owned).ok_or_else(|| Failure::broken("the lease that Fly gave has no nonce"))
}
