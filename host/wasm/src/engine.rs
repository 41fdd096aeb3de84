//! The engine of this process and its clock of ticks.
//!
//! A thread of the operating system advances the tick, so that a guest that never yields is still interrupted. It
//! sleeps while no call is running.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::Engine;

/// One tick: the unit in which processor time is counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(&ss_wasm_config::engine_config()).expect("the shared configuration is consistent")
});

static TICKER: Ticker =
    Ticker { ticks: AtomicU64::new(0), calls: Mutex::new(None), wake: Condvar::new() };

/// The one engine. More than one per process would let their types be mixed up.
pub(crate) fn engine() -> &'static Engine {
    &ENGINE
}

struct Ticker {
    ticks: AtomicU64,
    /// Calls that run now; `None` before the thread was started.
    calls: Mutex<Option<usize>>,
    wake: Condvar,
}

/// As long as it lives, ticks advance.
pub(crate) struct Ticking;

impl Ticking {
    /// Starts the ticks, or joins those that run. Their thread has begun when this returns: what a thread does first,
    /// it may not be allowed to do later.
    pub(crate) fn start() -> Self {
        let mut calls = TICKER.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.is_none() {
            let (begins, begun) = channel();
            std::thread::Builder::new()
                .name("wasm-ticks".to_owned())
                .spawn(move || {
                    begins.send(()).expect("somebody waits for it");
                    tick_forever();
                })
                .expect("the operating system starts a thread");
            begun.recv().expect("it begins");
        }
        *calls = Some(calls.unwrap_or(0) + 1);
        TICKER.wake.notify_one();
        Self
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        let mut calls = TICKER.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls = calls.map(|running| running - 1);
    }
}

/// Ticks since the first call of this process.
pub(crate) fn ticks() -> u64 {
    TICKER.ticks.load(Ordering::Relaxed)
}

fn tick_forever() {
    loop {
        let calls = TICKER.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |calls: &mut Option<usize>| calls.unwrap_or(0) == 0;
        drop(TICKER.wake.wait_while(calls, idle).unwrap_or_else(PoisonError::into_inner));
        std::thread::sleep(TICK);
        TICKER.ticks.fetch_add(1, Ordering::Relaxed);
        ENGINE.increment_epoch();
    }
}
