//! Sends spans beside the run, on a thread of its own, and knows how long its end is worth waiting for.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender as Channel, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::send::{NotSent, Sender};
use crate::span::Span;

/// Spans of one export.
const BATCH_MAX: usize = 512;
/// Spans that wait; those that come later are lost, and said to be.
const WAITING_MAX: usize = 2_048;
/// Time between two exports of a run.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the end waits for a collector of which nothing is known yet.
const UNKNOWN_WAIT: Duration = Duration::from_millis(300);
/// The longest wait for one that has answered before.
const KNOWN_WAIT_MAX: Duration = Duration::from_secs(1);
/// A collector that lets the first export wait for longer than this is not waited for.
const SILENCE_MAX: Duration = Duration::from_millis(500);

enum Order {
    Export(Span),
    Flush(Channel<()>),
}

/// What is known of the collector.
#[derive(Debug, Default)]
struct Known {
    /// When the export under way began.
    pending_since: Option<Instant>,
    /// The slowest answer to an export that was taken.
    slowest: Option<Duration>,
    trouble: Option<String>,
    lost: usize,
}

/// The near end: hands spans over and never blocks.
pub(crate) struct Exporter {
    orders: Channel<Order>,
    known: Arc<Mutex<Known>>,
}

impl Exporter {
    /// Starts the thread. Where that fails, spans are lost and the run goes on.
    pub(crate) fn start(config: Arc<Config>) -> Self {
        let (orders, taken) = channel();
        let known = Arc::new(Mutex::new(Known::default()));
        let shared = known.clone();
        let work = move || work(&config, &taken, &shared);
        if let Err(error) = std::thread::Builder::new().name("ss-telemetry".to_owned()).spawn(work)
        {
            lock(&known).trouble = Some(error.to_string());
        }
        Self { orders, known }
    }

    pub(crate) fn export(&self, span: Span) {
        // A thread that is gone has said why.
        let _ = self.orders.send(Order::Export(span));
    }

    /// Sends what is left, for as long as that is worth it. Gives what went wrong.
    pub(crate) fn finish(&self) -> Option<String> {
        let (done, finished) = channel();
        // A thread that is gone has said why.
        let _ = self.orders.send(Order::Flush(done));
        let patience = patience(&lock(&self.known), Instant::now());
        let outcome = finished.recv_timeout(patience);
        let known = lock(&self.known);
        match (outcome, &known.trouble) {
            (_, Some(why)) => Some(why.clone()),
            (Err(RecvTimeoutError::Timeout), None) => Some("it does not answer in time".to_owned()),
            (_, None) if known.lost > 0 => Some(format!("{} spans are lost", known.lost)),
            _ => None,
        }
    }
}

/// A collector that answered before gets four times as long as it took; one that never did gets next to nothing.
fn patience(known: &Known, now: Instant) -> Duration {
    let silent = known.pending_since.map(|since| now.saturating_duration_since(since));
    match (known.slowest, silent) {
        (Some(slowest), _) => (slowest * 4 + Duration::from_millis(100)).min(KNOWN_WAIT_MAX),
        (None, Some(silent)) if silent > SILENCE_MAX => Duration::ZERO,
        (None, _) if known.trouble.is_some() => Duration::ZERO,
        (None, _) => UNKNOWN_WAIT,
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(config: &Config, orders: &Receiver<Order>, known: &Mutex<Known>) {
    let fail = |why: String| lock(known).trouble = Some(why);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error.to_string()),
    };
    let sender = match Sender::new(config) {
        Ok(sender) => sender,
        Err(error) => return fail(error.why().to_owned()),
    };
    let mut waiting: Vec<Span> = Vec::new();
    let mut next = Instant::now();
    loop {
        let flush = match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Order::Export(span)) => {
                keep(&mut waiting, span, known);
                None
            }
            Ok(Order::Flush(done)) => Some(done),
            Err(RecvTimeoutError::Timeout) if waiting.is_empty() => {
                // Nothing to send: the next span goes out at once.
                let Ok(order) = orders.recv() else { return };
                match order {
                    Order::Export(span) => {
                        keep(&mut waiting, span, known);
                        None
                    }
                    Order::Flush(done) => Some(done),
                }
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if flush.is_none() && Instant::now() < next {
            continue;
        }
        runtime.block_on(export(&sender, config, &mut waiting, known));
        next = Instant::now() + INTERVAL;
        if let Some(done) = flush {
            // Whoever waited may have gone.
            let _ = done.send(());
            return;
        }
    }
}

fn keep(waiting: &mut Vec<Span>, span: Span, known: &Mutex<Known>) {
    if waiting.len() < WAITING_MAX {
        waiting.push(span);
    } else {
        lock(known).lost += 1;
    }
}

/// Sends everything that waits, in batches; what may be sent later stays.
async fn export(sender: &Sender, config: &Config, waiting: &mut Vec<Span>, known: &Mutex<Known>) {
    while !waiting.is_empty() {
        let batch = waiting.len().min(BATCH_MAX);
        let began = Instant::now();
        lock(known).pending_since = Some(began);
        let sent = sender.send(config, &waiting[..batch]).await;
        let mut known = lock(known);
        known.pending_since = None;
        match sent {
            Ok(()) => {
                known.slowest = known.slowest.max(Some(began.elapsed()));
                known.trouble = None;
                waiting.drain(..batch);
            }
            Err(NotSent::Later(why)) => {
                known.trouble = Some(why);
                return;
            }
            Err(NotSent::Never(why)) => {
                known.trouble = Some(why);
                known.lost += batch;
                waiting.drain(..batch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_collector_that_answered_is_waited_for() {
        let now = Instant::now();
        let ms = |known: Known| patience(&known, now).as_millis();
        let ago = |ms| now.checked_sub(Duration::from_millis(ms));
        assert_eq!(ms(Known::default()), 300);
        assert_eq!(ms(Known { pending_since: ago(100), ..Known::default() }), 300);
        assert_eq!(ms(Known { pending_since: ago(600), ..Known::default() }), 0);
        assert_eq!(ms(Known { trouble: Some("refused".to_owned()), ..Known::default() }), 0);
        let answered =
            |took| Known { slowest: Some(Duration::from_millis(took)), ..Known::default() };
        assert_eq!(ms(answered(20)), 180);
        assert_eq!(ms(answered(5_000)), 1_000);
    }
}
