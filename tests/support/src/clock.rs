//! Time that moves only when a test says so. `sleep` takes none: it moves the clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ss_ports::Clock;

/// A clock at a fixed moment; its random bytes are a counter, never the same twice.
#[derive(Debug)]
pub struct FixedClock {
    now_ms: AtomicI64,
    drawn: AtomicU64,
}

impl FixedClock {
    /// A clock that shows this moment, in milliseconds since the Unix epoch.
    pub fn at(now_ms: i64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms), drawn: AtomicU64::new(0) }
    }

    /// Moves it on.
    pub fn advance(&self, duration: Duration) {
        let by = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    /// 2026-05-02 14:32:01 UTC.
    fn default() -> Self {
        Self::at(1_777_732_321_000)
    }
}

#[async_trait]
impl Clock for FixedClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }

    fn random(&self, count: usize) -> Vec<u8> {
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
        drawn.to_be_bytes().iter().rev().copied().cycle().take(count).collect()
    }
}
