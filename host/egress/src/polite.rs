//! One request, as many attempts as allowed: limits, waits and repeats around whatever makes an attempt.
//!
//! All time and chance come from the clock, so that every sentence here can be tried without waiting. The limit of a
//! single attempt is the attempt's own business, measured in real time.

use std::sync::Arc;
use std::time::Duration;

use ss_ports::{Clock, EgressError, Exchange, HttpReply, HttpRequest};

use crate::limits::Limits;
use crate::options::{OnWait, Wait, WaitReason};
use crate::retry::{Effect, may_repeat, pause};

/// Longer waits are reported.
const SILENT_WAIT_MAX: Duration = Duration::from_secs(2);

/// What is shared by all requests of a run.
pub(crate) struct Politeness {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) on_wait: Option<OnWait>,
}

type End = Result<HttpReply, EgressError>;

impl Politeness {
    /// Waits for the request's turn, lets `attempt` try within the time it is given, and repeats what may be repeated.
    ///
    /// The wait for the first turn does not count: it belongs to those who came before.
    pub(crate) async fn send<A, F>(
        &self,
        request: &HttpRequest,
        origin: &str,
        attempt: A,
    ) -> Exchange
    where
        A: Fn(Duration) -> F,
        F: Future<Output = End>,
    {
        let turn = self.turn(request, origin);
        self.wait(request, turn, WaitReason::RateLimit).await;
        let started_ms = self.clock.now_ms();
        let timeout = Duration::from_millis(request.timeout_ms.into());
        // The first attempt always has its full time.
        let total = timeout.max(Duration::from_millis(request.retry.total_ms.into()));
        let (mut attempts, mut effect) = (0, Effect::None);
        let end = loop {
            attempts += 1;
            let left = total.saturating_sub(self.since(started_ms));
            let end = attempt(timeout.min(left)).await;
            let left = total.saturating_sub(self.since(started_ms));
            let Some((wait, reason, possible)) = self.next(request, origin, &end, attempts, left)
            else {
                break end;
            };
            if possible == Effect::Possible {
                effect = Effect::Possible;
            }
            self.wait(request, wait, reason).await;
        };
        let result = honest(end, effect);
        let bytes = result.as_ref().map_or(0, |reply| reply.body.expose().len() as u64);
        let duration_ms = u64::try_from(self.since(started_ms).as_millis()).unwrap_or(u64::MAX);
        Exchange { result, attempts, bytes, duration_ms }
    }

    /// Whether there is a next attempt: after how long, why, and what this one may have done.
    fn next(
        &self,
        request: &HttpRequest,
        origin: &str,
        end: &End,
        attempts: u32,
        left: Duration,
    ) -> Option<(Duration, WaitReason, Effect)> {
        if attempts >= request.retry.attempts {
            return None;
        }
        let effect = may_repeat(&request.retry, end)?;
        let (wait, reason) = pause(end, attempts, self.clock.now_ms(), self.random())?;
        if wait >= left {
            return None;
        }
        let turn = self.turn(request, origin);
        let (wait, reason) =
            if turn > wait { (turn, WaitReason::RateLimit) } else { (wait, reason) };
        (wait < left).then_some((wait, reason, effect))
    }

    fn turn(&self, request: &HttpRequest, origin: &str) -> Duration {
        let turn =
            |(rate, key): &(_, String)| self.limits.take(origin, key, rate, self.clock.now_ms());
        request.rate.as_ref().map(turn).unwrap_or_default()
    }

    async fn wait(&self, request: &HttpRequest, duration: Duration, reason: WaitReason) {
        if duration.is_zero() {
            return;
        }
        if let Some(on_wait) = self.on_wait.as_ref().filter(|_| duration > SILENT_WAIT_MAX) {
            on_wait(&Wait {
                connection: request.connection.clone(),
                operation: request.operation.clone(),
                duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                reason,
            });
        }
        self.clock.sleep(duration).await;
    }

    /// The time since then; none at all if the clock was set back meanwhile.
    fn since(&self, then_ms: i64) -> Duration {
        let passed_ms = self.clock.now_ms().saturating_sub(then_ms);
        Duration::from_millis(u64::try_from(passed_ms).unwrap_or(0))
    }

    fn random(&self) -> u32 {
        self.clock.random(4).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }
}

/// An earlier attempt may have had an effect: then a last one that was never sent does not make the whole "never sent".
fn honest(end: End, effect: Effect) -> End {
    match (end, effect) {
        (Err(EgressError::Unreachable(why) | EgressError::Refused(why)), Effect::Possible) => {
            Err(EgressError::Lost(format!("{why}; an earlier attempt may have arrived")))
        }
        (end, _) => end,
    }
}

#[cfg(test)]
#[path = "polite_tests.rs"]
mod tests;
