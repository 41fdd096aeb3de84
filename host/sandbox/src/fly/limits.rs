//! Fly's rate limits: a bucket per action and app or machine. Pure; the clock is given.

use std::collections::HashMap;

/// All buckets.
#[derive(Default)]
pub struct Limits {
    buckets: HashMap<String, Bucket>,
}

struct Bucket {
    tokens: f64,
    at_ms: i64,
}

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    burst: f64,
}

const USUAL: Rate = Rate { per_second: 1.0, burst: 3.0 };
const GET_MACHINE: Rate = Rate { per_second: 5.0, burst: 10.0 };
const DELETE_APP: Rate = Rate { per_second: 100.0 / 60.0, burst: 100.0 };
const BUCKETS_MAX: usize = 10_000;

impl Limits {
    /// Takes one token for `method path` (below `/v1`); false when there is none.
    pub fn admit(&mut self, now_ms: i64, method: &str, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (rate, key) = match (method, parts.as_slice()) {
            ("DELETE", ["apps", _]) => (DELETE_APP, "DELETE apps".to_owned()),
            ("GET", ["apps", _, "machines", _]) => (GET_MACHINE, format!("GET {path}")),
            // Beyond the action there are only keys and names, which do not make another action.
            (_, ["apps", _, ..]) => {
                (USUAL, format!("{method} {}", parts[..parts.len().min(5)].join("/")))
            }
            _ => return true,
        };
        if self.buckets.len() > BUCKETS_MAX {
            self.buckets.clear();
        }
        let full = Bucket { tokens: rate.burst, at_ms: now_ms };
        let bucket = self.buckets.entry(key).or_insert(full);
        bucket.take(now_ms, rate)
    }
}

impl Bucket {
    fn take(&mut self, now_ms: i64, rate: Rate) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "an elapsed time needs no 53 bits")]
        let seconds = (now_ms - self.at_ms) as f64 / 1000.0;
        self.tokens = (self.tokens + seconds * rate.per_second).min(rate.burst);
        self.at_ms = now_ms;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(limits: &mut Limits, now_ms: i64, method: &str, path: &str) -> usize {
        (0..20).filter(|_| limits.admit(now_ms, method, path)).count()
    }

    #[test]
    fn one_a_second_with_a_burst_of_three_per_action_and_id() {
        let mut limits = Limits::default();
        assert_eq!(admitted(&mut limits, 0, "POST", "/apps/a/machines"), 3);
        assert_eq!(admitted(&mut limits, 0, "POST", "/apps/b/machines"), 3);
        assert_eq!(admitted(&mut limits, 2_000, "POST", "/apps/a/machines"), 2);
        assert_eq!(admitted(&mut limits, 60_000, "POST", "/apps/a/machines"), 3);
    }

    #[test]
    fn get_machine_has_its_own_rate() {
        let mut limits = Limits::default();
        assert_eq!(admitted(&mut limits, 0, "GET", "/apps/a/machines/1"), 10);
        assert_eq!(admitted(&mut limits, 1_000, "GET", "/apps/a/machines/1"), 5);
        assert_eq!(admitted(&mut limits, 0, "GET", "/platform/regions"), 20);
    }
}
