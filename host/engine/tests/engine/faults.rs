//! Where a run is killed, its disk fills up or its network goes away: at the n-th point that its ports pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What happens at the point, and at every later one unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed: nothing after it happens, and what need not be durable is lost.
    Killed,
    /// The process is killed, and all that it wrote is there.
    KilledLate,
    /// Nothing can be written: journal, tapes, vault, state, receipts.
    DiskFull,
    /// Nothing can be written at this point alone.
    DiskFullOnce,
    /// No vendor can be reached.
    Offline,
    /// The vault cannot be opened. It passes no points: it is so from the start.
    VaultLocked,
    /// Every tape is as long as it may be. It passes no points either.
    TapeFull,
}

/// The points that the ports of one run pass, and the fault that waits at one of them.
pub struct Faults {
    at: usize,
    fault: Fault,
    passed: AtomicUsize,
    dead: AtomicBool,
    died: Notify,
}

impl Faults {
    /// This fault at the point with this number, counted from 0.
    pub fn at(at: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            at,
            fault,
            passed: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        })
    }

    /// No fault.
    pub fn none() -> Arc<Self> {
        Self::at(usize::MAX, Fault::Killed)
    }

    /// How many points were passed.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// Whether this is the fault, wherever it waits.
    pub fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Passes a point. Does not come back where the process is killed; otherwise says what is wrong from here on.
    pub async fn pass(&self) -> Option<Fault> {
        let at = self.passed.fetch_add(1, Ordering::SeqCst);
        if at < self.at {
            return None;
        }
        if matches!(self.fault, Fault::Killed | Fault::KilledLate) {
            self.dead.store(true, Ordering::SeqCst);
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        (self.fault != Fault::DiskFullOnce || at == self.at).then_some(self.fault)
    }

    /// Ends when the process is killed.
    pub async fn death(&self) {
        if !self.dead.load(Ordering::SeqCst) {
            self.died.notified().await;
        }
    }
}
