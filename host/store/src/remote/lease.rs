//! The right to write in a shared place: an object that its holder keeps changing.
//!
//! No clock is compared with another machine's. Who waits watches the object: changed within [`LEASE`], its holder
//! lives; not changed for that long, measured here, it is taken over. A holder that could not renew stops counting
//! itself as one before that. Each holder has a higher fence than the one before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use ss_ports::{Holder, Lease, StoreError};

use super::objects::{Put, Version, When};
use super::place::Place;

/// How long a killed run blocks others.
pub const LEASE: Duration = Duration::from_secs(15);

pub(crate) const KEY: &str = "lease";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Document {
    fence: u64,
    /// `None` when it was given back.
    holder: Option<Holder>,
}

/// What a holder knows of its lease.
pub(crate) struct Held {
    pub(crate) fence: u64,
    holder: Holder,
    lease: Duration,
    /// Until when it counts, unless renewed.
    until: Mutex<Instant>,
    /// The object as last written; locked while it is being written.
    version: tokio::sync::Mutex<Version>,
    is_hung: AtomicBool,
}

impl Held {
    pub(crate) fn counts(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop_renewing(&self) {
        self.is_hung.store(true, Ordering::SeqCst);
    }

    fn own_time(lease: Duration) -> Duration {
        lease * 4 / 5
    }

    async fn renew(&self, place: &Place) -> Result<bool, StoreError> {
        let mut version = self.version.lock().await;
        let asked = Instant::now();
        let document = Document { fence: self.fence, holder: Some(self.holder.clone()) };
        match write(place, &document, When::Unchanged(version.clone())).await? {
            Put::Written(new) => {
                *version = new;
                let until = asked + Self::own_time(self.lease);
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
                Ok(true)
            }
            Put::Overtaken => {
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                Ok(false)
            }
        }
    }

    async fn give_back(&self, place: &Place) {
        let version = self.version.lock().await;
        let document = Document { fence: self.fence, holder: None };
        // When it cannot be told, the others wait until the lease ends by itself.
        let _ = write(place, &document, When::Unchanged(version.clone())).await;
    }
}

/// Takes the lease, or says who has it. Waits when the holder may be dead.
pub(crate) async fn take(
    place: &Place,
    holder: Holder,
    lease: Duration,
) -> Result<RemoteLease, StoreError> {
    let mut seen: Option<(Version, Instant)> = None;
    loop {
        let asked = Instant::now();
        let found = read(place).await?;
        let (fence, when) = match found {
            None => (1, When::Absent),
            Some((Document { fence, holder: None }, version)) => {
                (fence + 1, When::Unchanged(version))
            }
            Some((Document { fence, holder: Some(other) }, version)) => match &seen {
                Some((before, _)) if *before != version => return Err(StoreError::Locked(other)),
                Some((_, since)) if since.elapsed() >= lease => {
                    (fence + 1, When::Unchanged(version))
                }
                _ => {
                    seen.get_or_insert((version, Instant::now()));
                    tokio::time::sleep(lease / 15).await;
                    continue;
                }
            },
        };
        let document = Document { fence, holder: Some(holder.clone()) };
        if let Put::Written(version) = write(place, &document, when).await? {
            return Ok(RemoteLease::begin(place.clone(), fence, holder, lease, (version, asked)));
        }
        seen = None;
    }
}

/// Who has the lease and lives: watches until the object changes, and gives up after the length of a lease.
pub(crate) async fn holder(place: &Place, lease: Duration) -> Result<Option<Holder>, StoreError> {
    let begun = Instant::now();
    let mut first = None;
    loop {
        let Some((Document { holder: Some(holder), .. }, version)) = read(place).await? else {
            return Ok(None);
        };
        if *first.get_or_insert_with(|| version.clone()) != version {
            return Ok(Some(holder));
        }
        if begun.elapsed() >= lease {
            return Ok(None);
        }
        tokio::time::sleep(lease / 15).await;
    }
}

/// What a writer is told that no longer is one.
pub(crate) async fn lost(place: &Place, ours: Option<&Held>) -> StoreError {
    let found = read(place).await.ok().flatten();
    let other = found.filter(|(document, _)| ours.is_none_or(|ours| ours.fence != document.fence));
    StoreError::Lost(other.and_then(|(document, _)| document.holder))
}

async fn read(place: &Place) -> Result<Option<(Document, Version)>, StoreError> {
    let Some((bytes, version)) = place.get(KEY).await? else { return Ok(None) };
    let document = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Damaged(format!("the lease is damaged: {error}")))?;
    Ok(Some((document, version)))
}

async fn write(place: &Place, document: &Document, when: When) -> Result<Put, StoreError> {
    let bytes = serde_json::to_vec(document).expect("a lease is JSON");
    place.put(KEY, &bytes, when).await
}

/// A held lease; renewed until it is dropped.
pub(crate) struct RemoteLease {
    pub(crate) held: Arc<Held>,
    place: Place,
    renewal: tokio::task::JoinHandle<()>,
}

impl RemoteLease {
    fn begin(
        place: Place,
        fence: u64,
        holder: Holder,
        lease: Duration,
        (version, asked): (Version, Instant),
    ) -> Self {
        let held = Arc::new(Held {
            fence,
            holder,
            lease,
            until: Mutex::new(asked + Held::own_time(lease)),
            version: tokio::sync::Mutex::new(version),
            is_hung: AtomicBool::new(false),
        });
        let (ours, there) = (held.clone(), place.clone());
        let renewal = place.handle().spawn(async move {
            loop {
                tokio::time::sleep(lease / 5).await;
                if ours.is_hung.load(Ordering::SeqCst) {
                    return;
                }
                // Trouble on the way is tried again while the lease counts for others.
                if let Ok(false) = ours.renew(&there).await {
                    return;
                }
            }
        });
        Self { held, place, renewal }
    }
}

impl Lease for RemoteLease {
    fn is_held(&self) -> bool {
        self.held.counts()
    }
}

impl Drop for RemoteLease {
    fn drop(&mut self) {
        let (held, place) = (self.held.clone(), self.place.clone());
        self.place.finish(async move {
            held.give_back(&place).await;
        });
        self.renewal.abort();
    }
}
