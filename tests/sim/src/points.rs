//! The steps of one run, and what goes wrong at them.

use std::future::pending;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use ss_engine::Stop;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::case::{Fault, Spoil, Trouble};

/// When every life begins: 2026-05-02 14:32:01 UTC.
const BEGIN_MS: i64 = 1_777_732_321_000;

/// Time, chance and the record of what happened, for all runs of one life.
pub struct Course {
    rng: Mutex<Rng>,
    trace: Mutex<Vec<String>>,
    begun: Instant,
    /// By how much the wall clock is wrong.
    skew_ms: AtomicI64,
    committed: Mutex<Committed>,
}

#[derive(Default)]
struct Committed {
    serial: u64,
    wrong: Option<String>,
}

impl Course {
    /// A course that begins now.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            rng: Mutex::new(Rng::with_seed(seed ^ 0x5157_0000)),
            trace: Mutex::default(),
            begun: Instant::now(),
            skew_ms: AtomicI64::new(0),
            committed: Mutex::default(),
        })
    }

    /// Chance.
    pub fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the beginning, whatever the wall clock says.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What the wall clock says.
    pub fn wall_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.elapsed_ms()).unwrap_or(i64::MAX);
        BEGIN_MS + elapsed + self.skew_ms.load(Ordering::SeqCst)
    }

    /// Sets the wall clock.
    pub fn set_clock(&self, seconds: i64) {
        self.skew_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    /// Writes down a step.
    pub fn note(&self, who: &str, what: &str) {
        let line = format!("{:>8} {who}: {what}", self.elapsed_ms());
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All steps.
    pub fn trace(&self) -> Vec<String> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A commit was accepted; each has the serial after the last.
    pub fn commits(&self, serial: u64) {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        if serial <= committed.serial && committed.wrong.is_none() {
            let last = committed.serial;
            committed.wrong = Some(format!("a stale writer: serial {serial} written over {last}"));
        }
        committed.serial = serial;
    }

    /// What was wrong with a commit.
    pub fn stale(&self) -> Option<String> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).wrong.clone()
    }
}

/// What kind of step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request is about to leave.
    Request,
    /// Its answer is about to arrive.
    Answer,
    /// Something is about to be written.
    Write,
    /// The state is about to be committed.
    Commit,
    /// Something was written whose last bytes may be lost.
    Written,
    /// Anything else.
    Other,
}

impl Trouble {
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Killed | Self::PowerCut | Self::Stopped | Self::ClockSet(_) => true,
            Self::Torn => kind == Kind::Written,
            Self::Full(_) => matches!(kind, Kind::Write | Kind::Commit),
            Self::Robbed => kind == Kind::Commit,
            Self::Request(_) => kind == Kind::Request,
        }
    }
}

/// What is different at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// Nothing.
    Fine,
    /// Nothing can be written.
    Full,
    /// The request is spoiled.
    Spoiled(Spoil),
    /// The lock is to be removed.
    Robbed,
}

/// The steps of one run.
pub struct Points {
    pub course: Arc<Course>,
    pub who: String,
    pub stop: Stop,
    faults: Mutex<Vec<Fault>>,
    passed: AtomicUsize,
    full: AtomicUsize,
    death: Mutex<Option<Trouble>>,
    undo: Mutex<Option<Undo>>,
    died: Notify,
}

/// Makes of a write what is left of it when the run dies in the middle.
type Undo = Box<dyn FnOnce() + Send>;

impl Points {
    /// The steps of a run with these faults.
    pub fn new(course: &Arc<Course>, who: &str, faults: &[Fault]) -> Arc<Self> {
        Arc::new(Self {
            course: course.clone(),
            who: who.to_owned(),
            stop: Stop::default(),
            faults: Mutex::new(faults.to_vec()),
            passed: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
            death: Mutex::default(),
            undo: Mutex::default(),
            died: Notify::new(),
        })
    }

    /// Passes a step. Does not come back where the process dies.
    pub async fn pass(&self, kind: Kind, what: &str) -> Now {
        self.course.note(&self.who, what);
        let delay = {
            let mut rng = self.course.rng();
            // Between a write and the step at which it may be torn nobody else writes.
            if kind == Kind::Written || rng.bool() { 0 } else { rng.u64(1..20) }
        };
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let at = self.passed.fetch_add(1, Ordering::SeqCst);
        let mut now = Now::Fine;
        if let Some(trouble) = self.due(at, kind) {
            self.course.note(&self.who, &format!("{trouble:?}"));
            match trouble {
                Trouble::Killed | Trouble::Torn | Trouble::PowerCut => self.dies(trouble).await,
                Trouble::Stopped => self.stop.stop(),
                Trouble::Full(writes) => self.full.store(writes as usize, Ordering::SeqCst),
                Trouble::ClockSet(seconds) => self.course.set_clock(seconds),
                Trouble::Robbed => now = Now::Robbed,
                Trouble::Request(spoil) => now = Now::Spoiled(spoil),
            }
        }
        let is_write = matches!(kind, Kind::Write | Kind::Commit);
        if is_write && self.full.load(Ordering::SeqCst) > 0 {
            self.full.fetch_sub(1, Ordering::SeqCst);
            return Now::Full;
        }
        now
    }

    fn due(&self, at: usize, kind: Kind) -> Option<Trouble> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let found = faults.iter().position(|fault| fault.at <= at && fault.trouble.fits(kind))?;
        Some(faults.remove(found).trouble)
    }

    async fn dies(&self, trouble: Trouble) {
        *self.death.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        let undo = self.undo.lock().unwrap_or_else(PoisonError::into_inner).take();
        if trouble == Trouble::Torn
            && let Some(undo) = undo
        {
            undo();
        }
        self.died.notify_one();
        pending().await
    }

    /// What becomes of the last write when the run is torn at the next step.
    pub fn may_tear(&self, undo: impl FnOnce() + Send + 'static) {
        *self.undo.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(undo));
    }

    /// How the process died, if it did.
    pub fn death(&self) -> Option<Trouble> {
        *self.death.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when the process dies.
    pub async fn dead(&self) {
        while self.death().is_none() {
            self.died.notified().await;
        }
    }
}
