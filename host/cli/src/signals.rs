//! The user's wish to stop: once means finish what is in flight, twice means now.
//!
//! Listened to on a thread of its own, so that a run that computes, waits for a disk or for an answer to a question
//! hears it too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures_util::future::select_all;
use ss_engine::Stop;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// Whether a question stands on the terminal: nothing is in flight that would have to be finished.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Listens for SIGINT, SIGTERM and the end of the terminal until the process ends.
pub fn listen(stop: &Stop) {
    let stop = stop.clone();
    // Without a thread to listen on, signals do what they do by themselves, and the next run goes on from there.
    let _ = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Ok(runtime) = Builder::new_current_thread().enable_io().build() {
            runtime.block_on(obey(&stop));
        }
    });
}

/// Asks a question; one wish to stop is enough while it stands.
pub fn asking<T>(question: impl FnOnce() -> T) -> T {
    ASKING.store(true, Ordering::SeqCst);
    let answer = question();
    ASKING.store(false, Ordering::SeqCst);
    answer
}

async fn obey(stop: &Stop) {
    let ignored = ignored();
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals = kinds.map(|kind| {
        let is_ignored = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
        if is_ignored { None } else { signal(kind).ok() }
    });
    if signals.iter().all(Option::is_none) {
        return;
    }
    next(&mut signals).await;
    if !ASKING.load(Ordering::SeqCst) {
        stop.stop();
        eprintln!(
            "\nstopping: requests in flight are finished and recorded; once more to stop at once"
        );
        next(&mut signals).await;
    }
    // The terminal shows the key that was pressed; what comes next begins a line.
    eprintln!();
    // Everything that matters is on disk already; the next run goes on from there.
    std::process::exit(Exit::Interrupted as i32);
}

async fn next(signals: &mut [Option<Signal>]) {
    let heard = signals.iter_mut().flatten().map(|signal| Box::pin(signal.recv()));
    select_all(heard).await;
}

/// The signals that whoever started this process wants ignored, as `nohup` does: they stay so.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
