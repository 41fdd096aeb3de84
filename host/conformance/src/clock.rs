//! Time that goes faster: who waits for a minute waits for a second, and is told that a minute has passed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use ss_ports::Clock;

/// How much faster.
const FASTER: u32 = 50;

/// The machine's clock, and what was skipped of its time.
#[derive(Debug, Default)]
pub struct QuickClock {
    skipped_ms: AtomicI64,
}

impl QuickClock {
    /// Lets time pass without waiting for it.
    pub fn skip(&self, duration: Duration) {
        let by = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        self.skipped_ms.fetch_add(by, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for QuickClock {
    fn now_ms(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(real).unwrap_or(i64::MAX) + self.skipped_ms.load(Ordering::SeqCst)
    }

    async fn sleep(&self, duration: Duration) {
        let really = duration / FASTER;
        tokio::time::sleep(really).await;
        self.skip(duration.saturating_sub(really));
    }

    fn random(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        bytes
    }
}
