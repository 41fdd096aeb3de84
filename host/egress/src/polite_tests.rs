//! Politeness under a clock that only moves when somebody sleeps on it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use ss_core::redact::Redacted;
use ss_gate::manifest::Rate;
use ss_ports::RetryRules;

use super::*;

/// Time stands still unless somebody sleeps; chance always gives the same byte.
struct StillClock {
    now_ms: AtomicI64,
    chance: u8,
}

#[async_trait]
impl Clock for StillClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    async fn sleep(&self, duration: Duration) {
        self.now_ms.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn random(&self, count: usize) -> Vec<u8> {
        vec![self.chance; count]
    }
}

/// A vendor that gives the ends it was told, each after some time, and remembers when it was asked and how long it had.
struct Vendor {
    clock: Arc<StillClock>,
    politeness: Politeness,
    ends: Mutex<VecDeque<(i64, End)>>,
    asked: Mutex<Vec<(i64, u128)>>,
    waits: Arc<Mutex<Vec<Wait>>>,
}

impl Vendor {
    fn new(chance: u8, ends: Vec<(i64, End)>) -> Self {
        let clock = Arc::new(StillClock { now_ms: AtomicI64::new(1_000_000), chance });
        let waits = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&waits);
        let on_wait: OnWait = Arc::new(move |wait| heard.lock().unwrap().push(wait.clone()));
        let politeness = Politeness {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            limits: Limits::default(),
            on_wait: Some(on_wait),
        };
        let (ends, asked) = (Mutex::new(ends.into()), Mutex::default());
        Self { clock, politeness, ends, asked, waits }
    }

    async fn send(&self, request: &HttpRequest) -> Exchange {
        let attempt = async |limit: Duration| {
            self.asked.lock().unwrap().push((self.clock.now_ms() - 1_000_000, limit.as_millis()));
            let (takes_ms, end) = self.ends.lock().unwrap().pop_front().unwrap();
            self.clock.now_ms.fetch_add(takes_ms, Ordering::SeqCst);
            end
        };
        self.politeness.send(request, "https://vendor.test", attempt).await
    }

    /// When each attempt began.
    fn asked_ms(&self) -> Vec<i64> {
        self.asked.lock().unwrap().iter().map(|(at_ms, _)| *at_ms).collect()
    }

    fn waits(&self) -> Vec<(u64, WaitReason)> {
        self.waits.lock().unwrap().iter().map(|wait| (wait.duration_ms, wait.reason)).collect()
    }
}

fn answer(status: u16) -> End {
    answer_with(status, &[])
}

fn answer_with(status: u16, headers: &[(&str, &str)]) -> End {
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(HttpReply { status, headers, body: Redacted::new(b"body".to_vec()) })
}

fn lost() -> End {
    Err(EgressError::Lost("cut".into()))
}

fn unreachable() -> End {
    Err(EgressError::Unreachable("refused".into()))
}

fn request(safe: bool) -> HttpRequest {
    HttpRequest {
        connection: "neon-api".into(),
        operation: "createProject".into(),
        service: None,
        route: "/".into(),
        method: if safe { "GET" } else { "POST" }.into(),
        url: "https://vendor.test/".into(),
        local: false,
        authorization: None,
        headers: Vec::new(),
        body: None,
        timeout_ms: 30_000,
        retry: RetryRules {
            safe,
            always: vec![423, 503],
            answers: Vec::new(),
            attempts: 5,
            total_ms: 60_000,
        },
        rate: None,
    }
}

fn rated(per_second: f64, burst: u32) -> HttpRequest {
    let rate = Rate { per_second, burst, per: Vec::new() };
    HttpRequest { rate: Some((rate, "start m1".into())), ..request(false) }
}

fn status(exchange: &Exchange) -> u16 {
    exchange.result.as_ref().unwrap().status
}

#[tokio::test]
async fn an_answer_is_handed_on_as_it_is() {
    let vendor = Vendor::new(0, vec![(120, answer(201))]);
    let exchange = vendor.send(&request(false)).await;
    assert_eq!((status(&exchange), exchange.attempts), (201, 1));
    assert_eq!((exchange.bytes, exchange.duration_ms), (4, 120));
    assert!(vendor.waits().is_empty());
}

#[tokio::test]
async fn declared_statuses_are_repeated_for_every_method() {
    for safe in [true, false] {
        let ends = vec![(10, answer(423)), (10, answer(503)), (10, answer(429)), (10, answer(200))];
        // The highest chance: the whole ceiling of 250, 500 and 1000 ms.
        let vendor = Vendor::new(255, ends);
        let exchange = vendor.send(&request(safe)).await;
        assert_eq!((status(&exchange), exchange.attempts), (200, 4));
        assert_eq!(vendor.asked_ms(), [0, 260, 770, 1780]);
        assert_eq!(exchange.duration_ms, 1790);
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_and_long_waits_are_told() {
    let ends = vec![
        (0, answer_with(429, &[("retry-after", "2")])),
        (0, answer_with(423, &[("retry-after", "3")])),
        // 1970-01-01 00:16:52 is 7 seconds after the clock's 1,000 seconds plus the waits so far.
        (0, answer_with(503, &[("retry-after", "Thu, 01 Jan 1970 00:16:52 GMT")])),
        (0, answer(200)),
    ];
    let vendor = Vendor::new(0, ends);
    assert_eq!(status(&vendor.send(&request(false)).await), 200);
    assert_eq!(vendor.asked_ms(), [0, 2_000, 5_000, 12_000]);
    // Two seconds are nothing to speak of.
    let expected = [(3_000, WaitReason::RetryAfter(423)), (7_000, WaitReason::RetryAfter(503))];
    assert_eq!(vendor.waits(), expected);
}

#[tokio::test]
async fn a_vendor_that_asks_for_too_much_gets_its_answer_through() {
    // Longer than anyone waits, and longer than this request may take.
    for (after, total_ms) in [("3600", u32::MAX), ("50", 40_000)] {
        let vendor = Vendor::new(0, vec![(0, answer_with(429, &[("retry-after", after)]))]);
        let mut request = request(true);
        request.retry.total_ms = total_ms;
        let exchange = vendor.send(&request).await;
        assert_eq!((status(&exchange), exchange.attempts), (429, 1));
        assert_eq!(exchange.result.unwrap().headers["retry-after"], after);
        assert!(vendor.waits().is_empty());
    }
}

#[tokio::test]
async fn an_unsafe_request_is_never_repeated_blindly() {
    for end in [lost(), answer(500), answer(502), answer(504), answer(408)] {
        let vendor = Vendor::new(0, vec![(0, end.clone()), (0, answer(200))]);
        let exchange = vendor.send(&request(false)).await;
        assert_eq!(exchange.attempts, 1, "{end:?}");
        assert_eq!(exchange.result.is_ok(), end.is_ok());
    }
    // Not even after a repeat that was allowed.
    let vendor = Vendor::new(0, vec![(0, answer(423)), (0, lost()), (0, answer(200))]);
    let exchange = vendor.send(&request(false)).await;
    assert_eq!(
        (exchange.result.unwrap_err(), exchange.attempts),
        (EgressError::Lost("cut".into()), 2)
    );
}

#[tokio::test]
async fn a_safe_request_is_repeated_after_any_failure() {
    let ends =
        vec![(0, lost()), (0, unreachable()), (0, answer(500)), (0, answer(408)), (0, answer(200))];
    let vendor = Vendor::new(0, ends);
    let exchange = vendor.send(&request(true)).await;
    assert_eq!((status(&exchange), exchange.attempts), (200, 5));
}

#[tokio::test]
async fn what_was_never_sent_is_repeated_for_every_method() {
    let vendor = Vendor::new(0, vec![(0, unreachable()), (0, unreachable()), (0, answer(201))]);
    let exchange = vendor.send(&request(false)).await;
    assert_eq!((status(&exchange), exchange.attempts), (201, 3));
}

#[tokio::test]
async fn the_last_end_stands_when_attempts_run_out() {
    for attempts in [0, 1, 3] {
        let vendor = Vendor::new(0, vec![(0, answer(423)); 4]);
        let mut request = request(false);
        request.retry.attempts = attempts;
        let exchange = vendor.send(&request).await;
        assert_eq!((status(&exchange), exchange.attempts), (423, attempts.max(1)));
    }
}

#[tokio::test]
async fn attempts_share_the_total_and_none_begins_after_it() {
    let vendor = Vendor::new(255, vec![(29_000, lost()), (30_000, lost()), (0, answer(200))]);
    let exchange = vendor.send(&request(true)).await;
    // 250 ms of waiting after the first; the second is given what is left of a minute, and after it half a second of
    // waiting fits, but hardly an attempt: it gets the rest.
    let asked = vendor.asked.lock().unwrap().clone();
    assert_eq!(asked, [(0, 30_000), (29_250, 30_000), (59_750, 250)]);
    assert_eq!((status(&exchange), exchange.attempts), (200, 3));

    let vendor = Vendor::new(255, vec![(30_000, lost()), (29_600, lost())]);
    let exchange = vendor.send(&request(true)).await;
    assert_eq!(exchange.attempts, 2);
    assert!(exchange.duration_ms < 60_000);
}

#[tokio::test]
async fn the_first_attempt_always_has_its_full_time() {
    let vendor = Vendor::new(0, vec![(0, answer(423))]);
    let mut request = request(false);
    request.retry.total_ms = 0;
    request.retry.attempts = 1;
    vendor.send(&request).await;
    assert_eq!(*vendor.asked.lock().unwrap(), [(0, 30_000)]);
}

#[tokio::test]
async fn never_sent_at_last_is_not_never_sent_at_all() {
    let mut request = request(true);
    request.retry.attempts = 2;
    for (first, expected_lost) in
        [(lost(), true), (answer(500), true), (answer(423), false), (unreachable(), false)]
    {
        for last in [unreachable(), Err(EgressError::Refused("moved".into()))] {
            let vendor = Vendor::new(0, vec![(0, first.clone()), (0, last)]);
            let error = vendor.send(&request).await.result.unwrap_err();
            assert_eq!(
                matches!(error, EgressError::Lost(_)),
                expected_lost,
                "{first:?}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_limit_holds_requests_back_before_their_time_counts() {
    let vendor = Vendor::new(0, vec![(0, answer(200)); 6]);
    for _ in 0..3 {
        assert_eq!(vendor.send(&rated(0.2, 2)).await.duration_ms, 0);
    }
    assert_eq!(vendor.asked_ms(), [0, 0, 5_000]);
    assert_eq!(vendor.waits(), [(5_000, WaitReason::RateLimit)]);
    let wait = vendor.waits.lock().unwrap()[0].clone();
    assert_eq!((wait.connection.as_str(), wait.operation.as_str()), ("neon-api", "createProject"));
}

#[tokio::test]
async fn a_repeat_waits_for_its_turn_too() {
    let ends = vec![(0, answer(423)), (0, answer(423)), (0, answer(200))];
    let vendor = Vendor::new(0, ends);
    assert_eq!(status(&vendor.send(&rated(0.1, 1)).await), 200);
    assert_eq!(vendor.asked_ms(), [0, 10_000, 20_000]);
    assert_eq!(vendor.waits(), [(10_000, WaitReason::RateLimit); 2]);
}

#[tokio::test]
async fn a_clock_set_back_does_not_stop_or_hurry_anything() {
    let vendor = Vendor::new(0, vec![(-900_000, answer(423)), (0, answer(200))]);
    let exchange = vendor.send(&request(false)).await;
    assert_eq!((status(&exchange), exchange.duration_ms), (200, 0));
}
