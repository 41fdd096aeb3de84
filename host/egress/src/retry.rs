//! Whether an attempt may be followed by another one, and after how long. Pure.

use std::time::{Duration, SystemTime};

use ss_ports::{EgressError, HttpReply, RetryRules};

use crate::options::WaitReason;

/// A vendor that asks for more than this is not waited for: its answer is handed on.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// The first wait without `Retry-After` is random below this, each further one below twice as much.
const BACKOFF_BASE: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What is known about the effect of an attempt that may be followed by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing was done: it was never sent, or the vendor says so.
    None,
    /// Something may have been done; repeating it is harmless.
    Possible,
}

/// Whether the request may be sent again after this end.
///
/// Every method may after an answer that promises nothing was done (429 by its definition, others as declared) and when
/// nothing was sent. Only a safe one may when the answer says nothing of the kind or is lost.
pub(crate) fn may_repeat(
    rules: &RetryRules,
    end: &Result<HttpReply, EgressError>,
) -> Option<Effect> {
    match end {
        Ok(reply) if rules.answers.contains(&reply.status) => None,
        Ok(reply) if reply.status == 429 || rules.always.contains(&reply.status) => {
            Some(Effect::None)
        }
        Ok(reply) if rules.safe && matches!(reply.status, 408 | 500..) => Some(Effect::Possible),
        Err(EgressError::Unreachable(_)) => Some(Effect::None),
        Err(EgressError::Lost(_)) if rules.safe => Some(Effect::Possible),
        _ => None,
    }
}

/// How long to wait before the next attempt, and why; `None` when the vendor asks for too much.
///
/// `attempt` counts from 1; `random` is anything. A little chance is added to `Retry-After` as well: those that were
/// turned away together should not come back together.
pub(crate) fn pause(
    end: &Result<HttpReply, EgressError>,
    attempt: u32,
    now_ms: i64,
    random: u32,
) -> Option<(Duration, WaitReason)> {
    let Ok(reply) = end else {
        return Some((jitter(attempt, random), WaitReason::NoAnswer));
    };
    match retry_after(reply, now_ms) {
        Some(asked) if asked > RETRY_AFTER_MAX => None,
        Some(asked) => Some((asked + jitter(1, random), WaitReason::RetryAfter(reply.status))),
        None => Some((jitter(attempt, random), WaitReason::Status(reply.status))),
    }
}

/// Full jitter: anything between nothing and a ceiling that doubles.
fn jitter(attempt: u32, random: u32) -> Duration {
    let doubled = BACKOFF_BASE.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.min(BACKOFF_MAX).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// `Retry-After`, in seconds or as an HTTP date; a date that has passed means now.
fn retry_after(reply: &HttpReply, now_ms: i64) -> Option<Duration> {
    let text = reply.headers.get("retry-after")?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more seconds than anyone waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use ss_core::redact::Redacted;

    use super::*;

    type End = Result<HttpReply, EgressError>;

    fn answer(status: u16, retry_after: Option<&str>) -> End {
        let headers: BTreeMap<_, _> = retry_after
            .map(|value| ("retry-after".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        Ok(HttpReply { status, headers, body: Redacted::new(Vec::new()) })
    }

    fn rules(safe: bool, always: &[u16]) -> RetryRules {
        RetryRules {
            safe,
            always: always.to_vec(),
            answers: Vec::new(),
            attempts: 5,
            total_ms: 60_000,
        }
    }

    #[test]
    fn what_is_declared_an_answer_is_not_repeated() {
        let long_poll = RetryRules { answers: vec![408], ..rules(true, &[]) };
        assert_eq!(may_repeat(&long_poll, &answer(408, None)), None);
        assert_eq!(may_repeat(&long_poll, &answer(500, None)), Some(Effect::Possible));
    }

    #[test]
    fn the_table_of_ends() {
        let none = Some(Effect::None);
        let possible = Some(Effect::Possible);
        let text = String::new;
        // End, after a safe request, after an unsafe one.
        let table: [(End, Option<Effect>, Option<Effect>); 14] = [
            (answer(200, None), None, None),
            (answer(302, None), None, None),
            (answer(400, None), None, None),
            (answer(404, None), None, None),
            (answer(408, None), possible, None),
            (answer(409, None), None, None),
            (answer(423, None), none, none),
            (answer(429, None), none, none),
            (answer(500, None), possible, None),
            (answer(503, None), none, none),
            (Err(EgressError::Refused(text())), None, None),
            (Err(EgressError::Unreachable(text())), none, none),
            (Err(EgressError::Lost(text())), possible, None),
            (Err(EgressError::TooLarge(text())), None, None),
        ];
        for (end, safe, not_safe) in table {
            assert_eq!(may_repeat(&rules(true, &[423, 503]), &end), safe, "{end:?}");
            assert_eq!(may_repeat(&rules(false, &[423, 503]), &end), not_safe, "{end:?}");
        }
        assert_eq!(may_repeat(&rules(false, &[]), &answer(423, None)), None);
        assert_eq!(may_repeat(&rules(false, &[]), &answer(503, None)), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let noon_ms = 784_111_777_000 - 7_000;
        let pause_ms = |value| {
            pause(&answer(429, Some(value)), 1, noon_ms, 0).map(|pause| pause.0.as_millis())
        };
        assert_eq!(pause_ms("0"), Some(0));
        assert_eq!(pause_ms(" 7 "), Some(7_000));
        assert_eq!(pause_ms("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7_000));
        assert_eq!(pause_ms("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        // Too long to wait for, however it is said.
        for long in ["61", "99999999999999999999999", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(pause_ms(long), None, "{long}");
        }
    }

    #[test]
    fn what_is_no_retry_after_is_ignored() {
        for text in ["", "-5", "1.5", "soon", "7 7"] {
            let (wait, reason) = pause(&answer(429, Some(text)), 1, 0, u32::MAX).unwrap();
            assert_eq!((wait, reason), (BACKOFF_BASE, WaitReason::Status(429)), "{text}");
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_ten_seconds() {
        let ceiling =
            |attempt| pause(&answer(500, None), attempt, 0, u32::MAX).unwrap().0.as_millis();
        let ceilings: Vec<_> = [1, 2, 3, 5, 6, 7, 100, u32::MAX].map(ceiling).to_vec();
        assert_eq!(ceilings, [250, 500, 1000, 4000, 8000, 10_000, 10_000, 10_000]);
    }

    proptest! {
        #[test]
        fn never_waits_longer_than_promised(status in 400_u16..600, text in ".{0,30}", attempt: u32, now_ms: i64, random: u32) {
            if let Some((wait, _)) = pause(&answer(status, Some(&text)), attempt, now_ms, random) {
                prop_assert!(wait <= RETRY_AFTER_MAX + BACKOFF_BASE);
            }
        }
    }
}
