//! What one run stands on: its ports, its settings, and what it has counted so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ss_core::ident::{EnvName, PluginName, ServiceId, SystemName};
use ss_core::record::{DeployHeader, RequestCount, RequestLine};
use ss_core::redact::Secret;
use ss_gate::decide::{Budget, Grant};
use ss_ports::{Clock, Egress, EventSink, Lease, Provisioners, StateStore, StoreError, Vault};
use tokio::sync::watch;

/// Everything outside the engine.
#[derive(Clone)]
pub struct Ports {
    /// The plugins.
    pub provisioners: Arc<dyn Provisioners>,
    /// The network.
    pub egress: Arc<dyn Egress>,
    /// Credentials.
    pub vault: Arc<dyn Vault>,
    /// State, journal, receipts.
    pub store: Arc<dyn StateStore>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Who hears what happens.
    pub events: Arc<dyn EventSink>,
}

/// A connection pointed elsewhere by the overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The base URL to use.
    pub base_url: String,
    /// Whether it names a loopback address, so that plain HTTP is allowed there.
    pub local: bool,
}

/// A service's `credential_env`.
#[derive(Debug, Clone)]
pub struct EnvCredential {
    /// The variable's name.
    pub variable: String,
    /// Its value, when it is set and not empty.
    pub value: Option<Secret>,
}

/// What the user decided for this run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The system.
    pub system: SystemName,
    /// The environment.
    pub environment: EnvName,
    /// The overlay as it was read, without `_state`: kept in the snapshot.
    pub overlay: Option<String>,
    /// Connections pointed elsewhere.
    pub connections: BTreeMap<String, Override>,
    /// `credential_env` by service.
    pub credentials: BTreeMap<ServiceId, EnvCredential>,
    /// Grants of plugins that are not first-party.
    pub grants: BTreeMap<PluginName, Grant>,
    /// Credentials that some service takes: giver → names.
    pub taken: BTreeMap<ServiceId, BTreeSet<String>>,
    /// How many services at once.
    pub parallelism: usize,
    /// How much one provisioner call may do.
    pub budget: Budget,
}

/// Asks a run to stop: requests in flight are finished and recorded, nothing new is begun.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Asks.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks.
    pub async fn stopped(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = receiver.wait_for(|stopped| *stopped).await;
    }
}

/// One run.
pub struct Run {
    /// The ports.
    pub ports: Ports,
    /// The settings.
    pub settings: Settings,
    /// How it began.
    pub header: DeployHeader,
    /// The state's lineage: part of every service's mark.
    pub lineage: String,
    /// The way to stop it.
    pub stop: Stop,
    /// The right to write; `None` for a run that only reads, or whose store is nobody else's.
    lease: Option<Weak<dyn Lease>>,
    ledger: Mutex<Vec<RequestLine>>,
}

impl Run {
    /// A run that has not done anything yet.
    pub fn new(
        ports: Ports,
        settings: Settings,
        header: DeployHeader,
        lineage: String,
        stop: Stop,
    ) -> Self {
        Self { ports, settings, header, lineage, stop, lease: None, ledger: Mutex::new(Vec::new()) }
    }

    /// Under this lease: it is asked before each request that changes something, and before each commit.
    pub fn under(self, lease: &Arc<dyn Lease>) -> Self {
        Self { lease: Some(Arc::downgrade(lease)), ..self }
    }

    /// Whether the run may still write.
    pub(crate) fn check_lease(&self) -> Result<(), StoreError> {
        let Some(lease) = &self.lease else { return Ok(()) };
        match lease.upgrade() {
            Some(lease) if lease.is_held() => Ok(()),
            _ => Err(StoreError::Lost(None)),
        }
    }

    pub(crate) fn record_request(&self, line: RequestLine) {
        lock(&self.ledger).push(line);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<RequestLine> {
        lock(&self.ledger).clone()
    }

    /// How many requests left the machine so far.
    pub fn counts(&self) -> RequestCount {
        let mut counts = RequestCount::default();
        for line in lock(&self.ledger).iter() {
            let sent = u64::from(line.attempts);
            match line.method.as_str() {
                "GET" | "HEAD" => counts.read += sent,
                _ => counts.write += sent,
            }
        }
        counts
    }

    pub(crate) fn grant(&self, plugin: &PluginName) -> Grant {
        self.settings.grants.get(plugin).cloned().unwrap_or(Grant::Manifest)
    }
}

/// Nothing here panics while it holds a lock, so a poisoned one is still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
