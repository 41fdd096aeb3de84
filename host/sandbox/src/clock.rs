//! Virtual time: everything in the sandbox that changes by itself changes by this clock.
//!
//! Promises that `now_ms` never goes backwards within a process, that a jump wakes every sleeper it
//! passes, and that a clock of speed 0 moves by jumps alone. Does not know dates; see `rfc3339`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// A shared clock; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    origin_ms: i64,
    speed: f64,
    jumped_ms: watch::Sender<i64>,
}

/// Longest single real sleep; a slow clock simply sleeps again.
const REAL_SLEEP_MAX: Duration = Duration::from_secs(3600);

impl Clock {
    /// Tells the machine's own time.
    #[must_use]
    pub fn real() -> Self {
        Self::scaled(wall_ms(), 1.0)
    }

    /// Starts at `origin_ms` (unix ms) and runs `speed` times as fast as real time.
    ///
    /// Speed 0 stands still until [`Clock::advance`]; a negative or non-finite speed counts as 0.
    #[must_use]
    pub fn scaled(origin_ms: i64, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 0.0 };
        let (jumped_ms, _) = watch::channel(0);
        Self { inner: Arc::new(Inner { started: Instant::now(), origin_ms, speed, jumped_ms }) }
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let jumped = *self.inner.jumped_ms.borrow();
        let elapsed = self.inner.started.elapsed().as_secs_f64() * 1000.0 * self.inner.speed;
        #[expect(clippy::cast_possible_truncation, reason = "a run lasts far less than 2^63 ms")]
        let elapsed = elapsed as i64;
        self.inner.origin_ms.saturating_add(elapsed).saturating_add(jumped)
    }

    /// Returns once `ms` of virtual time have passed; at once for zero or less.
    pub async fn sleep(&self, ms: i64) {
        self.sleep_until(self.now_ms().saturating_add(ms)).await;
    }

    /// Returns once `now_ms` has reached `deadline_ms`.
    pub async fn sleep_until(&self, deadline_ms: i64) {
        let mut jumps = self.inner.jumped_ms.subscribe();
        loop {
            let remaining = deadline_ms.saturating_sub(self.now_ms());
            if remaining <= 0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.real_duration(remaining)) => {}
                _ = jumps.changed() => {}
            }
        }
    }

    /// Jumps forward by `ms` (a negative value is ignored) and wakes every sleeper it passes.
    pub fn advance(&self, ms: i64) {
        self.inner.jumped_ms.send_modify(|jumped| *jumped = jumped.saturating_add(ms.max(0)));
    }

    /// How many virtual milliseconds pass in a real one.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.inner.speed
    }

    fn real_duration(&self, virtual_ms: i64) -> Duration {
        if self.inner.speed == 0.0 {
            return REAL_SLEEP_MAX;
        }
        #[expect(clippy::cast_precision_loss, reason = "a wait needs no 53 bits")]
        let seconds = virtual_ms as f64 / 1000.0 / self.inner.speed;
        // A little more than asked, so that rounding cannot wake a sleeper in a busy loop.
        Duration::from_secs_f64(seconds.min(REAL_SLEEP_MAX.as_secs_f64()) + 0.0005)
    }
}

/// The machine's own unix time in milliseconds.
#[must_use]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes `ms` as RFC 3339 in UTC with whole seconds, as both vendors do.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    let seconds = ms.div_euclid(1000);
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_standing_clock_moves_by_jumps_alone() {
        let clock = Clock::scaled(1_000, 0.0);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(500).await }
        });
        tokio::task::yield_now().await;
        clock.advance(499);
        tokio::task::yield_now().await;
        assert_eq!(clock.now_ms(), 1_499);
        assert!(!sleeper.is_finished());
        clock.advance(1);
        assert!(sleeper.await.is_ok());
        assert_eq!(clock.now_ms(), 1_500);
    }

    #[test]
    fn never_goes_back() {
        let clock = Clock::scaled(0, 1000.0);
        let first = clock.now_ms();
        clock.advance(-5_000);
        assert!(clock.now_ms() >= first);
    }

    #[test]
    fn dates_are_utc_with_whole_seconds() {
        assert_eq!(rfc3339(1_785_578_400_123), "2026-08-01T10:00:00Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    }
}
