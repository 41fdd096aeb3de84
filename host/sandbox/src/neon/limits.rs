//! The vendor's rate limits: so many per second and route, so many per minute and account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::error::ApiError;
use crate::settings::NeonSettings;

/// Token buckets, filled by the clock.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    level: f64,
    at_ms: i64,
}

impl Limits {
    /// Takes one request of `account` on `route`, or says how long to wait.
    pub(crate) fn take(
        &self,
        settings: &NeonSettings,
        account: &str,
        route: &str,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let per_route = f64::from(settings.route_requests_per_second);
        let per_account = f64::from(settings.account_requests_per_minute);
        let limits = [
            (format!("{account} {route}"), per_route, per_route / 1_000.0),
            (account.to_owned(), per_account, per_account / 60_000.0),
        ];
        for (name, size, per_ms) in limits {
            if size <= 0.0 {
                continue;
            }
            let bucket = buckets.entry(name).or_insert(Bucket { level: size, at_ms: now_ms });
            #[expect(clippy::cast_precision_loss, reason = "a wait needs no 53 bits")]
            let passed = now_ms.saturating_sub(bucket.at_ms) as f64;
            bucket.level = (bucket.level + passed * per_ms).min(size);
            bucket.at_ms = now_ms;
            if bucket.level < 1.0 {
                #[expect(clippy::cast_possible_truncation, reason = "at most a minute")]
                let seconds = ((1.0 - bucket.level) / per_ms / 1_000.0).ceil() as i64;
                return Err(ApiError::too_many(settings.retry_after.then_some(seconds.max(1))));
            }
            bucket.level -= 1.0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(limits: &Limits, route: &str, at_ms: i64, tries: usize) -> usize {
        let settings = NeonSettings::default();
        (0..tries).filter(|_| limits.take(&settings, "org", route, at_ms).is_ok()).count()
    }

    #[test]
    fn forty_at_once_per_route_then_as_time_passes() {
        let limits = Limits::default();
        assert_eq!(allowed(&limits, "GET /a", 0, 60), 40);
        assert_eq!(allowed(&limits, "GET /b", 0, 60), 40);
        assert_eq!(allowed(&limits, "GET /a", 500, 60), 20);
    }

    #[test]
    fn seven_hundred_a_minute_per_account() {
        let limits = Limits::default();
        let total: usize = (0..30).map(|n| allowed(&limits, &format!("GET /{n}"), 0, 40)).sum();
        assert_eq!(total, 700);
    }
}
