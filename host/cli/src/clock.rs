//! The machine's time and randomness.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use ss_ports::Clock;

/// The machine's clock, as a run can rely on it: it goes on while the machine sleeps, and when somebody sets it back
/// during a run, nothing waits for the hours to come again.
pub struct SystemClock;

/// One for the process: whoever asks, time does not go back.
static TOLD: Mutex<Option<Told>> = Mutex::new(None);

/// What was told last, and what the machine's clocks said then.
#[derive(Debug, Clone, Copy)]
struct Told {
    now_ms: i64,
    wall_ms: i64,
    at: Instant,
}

impl Told {
    /// As much later as the clock that went further says.
    fn later(self, wall_ms: i64, at: Instant) -> Self {
        let passed = at.saturating_duration_since(self.at).as_millis();
        let passed_ms = i64::try_from(passed).unwrap_or(i64::MAX);
        let now_ms =
            self.now_ms.saturating_add(passed_ms.max(wall_ms.saturating_sub(self.wall_ms)));
        Self { now_ms, wall_ms, at }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let (wall_ms, at) = (wall_ms(), Instant::now());
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Told { now_ms: wall_ms, wall_ms, at };
        let now = told.map_or(first, |told| told.later(wall_ms, at));
        *told = Some(now);
        now.now_ms
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        bytes
    }
}

fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_hold_up_a_run_and_sleep_counts() {
        let at = Instant::now();
        let mut told = Told { now_ms: 5_000, wall_ms: 5_000, at };
        let mut later = |seconds, wall_ms| {
            told = told.later(wall_ms, at + Duration::from_secs(seconds));
            told.now_ms
        };
        assert_eq!(later(1, 6_000), 6_000);
        assert_eq!(later(2, -3_600_000), 7_000);
        assert_eq!(later(3, -3_599_000), 8_000);
        assert_eq!(later(4, -3_539_000), 68_000);
    }
}
