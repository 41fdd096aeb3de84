//! Declared rate limits: how long a request has to wait for its turn.
//!
//! Pure but for a map: the time is given. A turn is taken when it is asked for, so those who wait are served in order.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ss_gate::manifest::Rate;

/// Above this many keys, those at rest are forgotten.
const KEYS_MAX: usize = 1024;
/// The slowest rate there is: one request per hour.
const INTERVAL_US_MAX: f64 = 3.6e9;

/// All limits, each counted by an origin and a key of its own.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    turns: Mutex<HashMap<(String, String), Turns>>,
}

/// The state of one limit, in microseconds since the epoch.
#[derive(Debug, Clone, Copy)]
struct Turns {
    /// When the next turn would be, were there no burst.
    next_us: i64,
    /// The time when it was last asked.
    asked_us: i64,
}

impl Limits {
    /// Takes the next turn and says how far off it is.
    pub(crate) fn take(&self, origin: &str, key: &str, rate: &Rate, now_ms: i64) -> Duration {
        let now_us = now_ms.saturating_mul(1000);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= KEYS_MAX {
            turns.retain(|_, turns| turns.next_us > now_us);
        }
        let start = Turns { next_us: now_us, asked_us: now_us };
        turns.entry((origin.to_owned(), key.to_owned())).or_insert(start).take(rate, now_us)
    }
}

impl Turns {
    fn take(&mut self, rate: &Rate, now_us: i64) -> Duration {
        let interval_us = interval_us(rate);
        let burst_us = interval_us.saturating_mul(i64::from(rate.burst.max(1)) - 1);
        // A clock that was set back takes the turns with it: nobody waits for the old time to come again.
        self.next_us -= (self.asked_us - now_us).max(0);
        self.asked_us = now_us;
        self.next_us = self.next_us.max(now_us);
        let wait_us = (self.next_us - burst_us - now_us).max(0);
        self.next_us += interval_us;
        Duration::from_micros(wait_us.unsigned_abs())
    }
}

/// The time between two turns; a rate that is no number limits nothing.
fn interval_us(rate: &Rate) -> i64 {
    match rate.per_second > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "bounded on both sides")]
        true => (1e6 / rate.per_second).clamp(0.0, INTERVAL_US_MAX) as i64,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: f64, burst: u32) -> Rate {
        Rate { per_second, burst, per: Vec::new() }
    }

    fn waits(limits: &Limits, rate: &Rate, times_ms: &[i64]) -> Vec<u128> {
        let take =
            |now_ms: &i64| limits.take("https://fly.test", "start", rate, *now_ms).as_millis();
        times_ms.iter().map(take).collect()
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_in_order() {
        let limits = Limits::default();
        let rate = rate(1.0, 3);
        assert_eq!(waits(&limits, &rate, &[0; 6]), [0, 0, 0, 1000, 2000, 3000]);
        assert_eq!(waits(&limits, &rate, &[3_500, 60_000, 60_000]), [500, 0, 0]);
    }

    #[test]
    fn keys_and_origins_are_counted_apart() {
        let limits = Limits::default();
        let rate = rate(1.0, 1);
        for (origin, key) in [("https://a", "x"), ("https://a", "y"), ("https://b", "x")] {
            assert_eq!(limits.take(origin, key, &rate, 0), Duration::ZERO);
            assert_eq!(limits.take(origin, key, &rate, 0), Duration::from_secs(1));
        }
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_longer() {
        let limits = Limits::default();
        let rate = rate(1.0, 1);
        assert_eq!(waits(&limits, &rate, &[10_000_000, 10_000_000, 0, 0]), [0, 1000, 2000, 3000]);
    }

    #[test]
    fn a_rate_that_is_no_rate_limits_nothing() {
        for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(waits(&Limits::default(), &rate(per_second, 0), &[0; 3]), [0, 0, 0]);
        }
    }

    #[test]
    fn keys_at_rest_are_forgotten() {
        let limits = Limits::default();
        for second in 0..5_000_i64 {
            limits.take("https://a", &second.to_string(), &rate(1.0, 1), second * 1000);
        }
        assert!(limits.turns.lock().unwrap().len() <= KEYS_MAX);
    }

    proptest! {
        /// Whatever comes when: in every window, no more turns than the rate and the burst allow.
        #[test]
        fn never_more_than_declared(
            gaps_ms in prop::collection::vec(0_i64..2_000, 1..60),
            per_second in 1_u32..20,
            burst in 1_u32..6,
        ) {
            let limits = Limits::default();
            let rate = rate(f64::from(per_second), burst);
            let mut now_ms = 0;
            let starts: Vec<i64> = gaps_ms.iter().map(|gap_ms| {
                now_ms += gap_ms;
                let wait = limits.take("https://a", "k", &rate, now_ms);
                now_ms * 1000 + i64::try_from(wait.as_micros()).unwrap()
            }).collect();
            let interval_us = i64::from(1_000_000 / per_second);
            for (first, start) in starts.iter().enumerate() {
                for (last, end) in starts.iter().enumerate().skip(first) {
                    let allowed = i64::from(burst) + (end - start) / interval_us;
                    prop_assert!((last - first + 1) as i64 <= allowed);
                }
            }
        }
    }
}
