//! The store in a place that machines share: the port's suite on a bucket, on PostgreSQL and in memory, and what only
//! a network can do wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ss_core::record::DeployStatus;
use ss_core::redact::Secret;
use ss_core::state::State;
use ss_ports::{StateStore, StoreError, Vault};
use ss_store::{
    Bucket, BucketSettings, Objects, Postgres, PostgresSettings, Put, RemoteStore, SharedVault,
    Version, When,
};
use ss_testkit::sample::{begin, call, holder, intent, receipt};
use ss_testkit::servers::{PostgresServer, S3Server};
use ss_testkit::{MemoryVault, state_store_suite};

use crate::promise::{Promised, keeps, run};

/// Short, so that a test need not wait for fifteen seconds; the holder renews five times within it.
const LEASE: Duration = Duration::from_millis(1500);

fn store(objects: Arc<dyn Objects>) -> RemoteStore {
    RemoteStore::open(objects, Arc::new(MemoryVault::default())).unwrap().with_lease(LEASE)
}

/// What can go wrong with one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It does not arrive.
    NotSent,
    /// It happens, and the answer is lost.
    NotAnswered,
    /// Half of it arrives.
    Torn,
}

/// A place in memory; one of its writes may go wrong.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, (Vec<u8>, u64)>>,
    puts: AtomicUsize,
    fault: Option<(usize, Fault)>,
}

impl Memory {
    fn write(&self, key: &str, bytes: Vec<u8>, when: &When) -> Put {
        let mut objects = self.objects.lock().unwrap();
        let found = objects.get(key).map(|(_, version)| *version);
        let holds = match when {
            When::Absent => found.is_none(),
            When::Unchanged(version) => found.is_some_and(|found| found.to_string() == *version),
        };
        if !holds {
            return Put::Overtaken;
        }
        let version = found.unwrap_or(0) + 1;
        objects.insert(key.to_owned(), (bytes, version));
        Put::Written(version.to_string())
    }
}

#[async_trait]
impl Objects for Memory {
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let found = self.objects.lock().unwrap().get(key).cloned();
        Ok(found.map(|(bytes, version)| (bytes, version.to_string())))
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, when: When) -> Result<Put, StoreError> {
        let number = self.puts.fetch_add(1, Ordering::SeqCst);
        let failed = || Err(StoreError::Io("injected".to_owned()));
        match self.fault.filter(|(at, _)| *at == number) {
            None => Ok(self.write(key, bytes, &when)),
            Some((_, Fault::NotSent)) => failed(),
            Some((_, Fault::NotAnswered)) => {
                self.write(key, bytes, &when);
                failed()
            }
            Some((_, Fault::Torn)) => {
                let half = bytes[..bytes.len() / 2].to_vec();
                self.write(key, half, &when);
                failed()
            }
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let objects = self.objects.lock().unwrap();
        Ok(objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }
}

#[tokio::test]
async fn passes_the_suite_in_memory() {
    state_store_suite(|| -> ss_testkit::Place {
        let objects = Arc::new(Memory::default());
        Box::new(move || Arc::new(store(objects.clone())))
    })
    .await;
}

/// A place in a bucket that nobody else uses.
fn bucket(server: &S3Server, system: usize) -> Arc<dyn Objects> {
    let settings = BucketSettings {
        bucket: "states".to_owned(),
        prefix: "team".to_owned(),
        endpoint: Some(server.endpoint()),
        region: Some("us-east-1".to_owned()),
        keys: Some((Secret::from("test"), Secret::from("test"))),
    };
    Arc::new(Bucket::open(&settings, &format!("system-{system}"), "prod").unwrap())
}

#[tokio::test]
async fn passes_the_suite_in_a_bucket() {
    let Some(server) = S3Server::start("states") else { return };
    let (server, systems) = (&server, AtomicUsize::new(0));
    state_store_suite(|| -> ss_testkit::Place {
        let objects = bucket(server, systems.fetch_add(1, Ordering::SeqCst));
        Box::new(move || Arc::new(store(objects.clone())))
    })
    .await;
}

#[tokio::test]
async fn passes_the_suite_in_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = PostgresServer::start(folder.path()) else { return };
    let (url, systems) = (Secret::new(server.url()), AtomicUsize::new(0));
    state_store_suite(|| -> ss_testkit::Place {
        let system = format!("system-{}", systems.fetch_add(1, Ordering::SeqCst));
        let settings = PostgresSettings { url: url.clone() };
        Box::new(move || {
            // A connection belongs to the thread of the store that opened it.
            Arc::new(store(Arc::new(Postgres::open(&settings, &system, "prod").unwrap())))
        })
    })
    .await;
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_said_and_not_taken_for_empty() {
    let Some(server) = S3Server::start("another") else { return };
    let refused = store(bucket(&server, 0)).load().await;
    assert!(
        matches!(&refused, Err(StoreError::Io(text)) if text.contains("states")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_killed_holder_blocks_for_one_lease_and_is_fenced_off() {
    let objects = Arc::new(Memory::default());
    let (first, second) = (store(objects.clone()), store(objects.clone()));
    let lease = first.lock(holder()).await.unwrap();
    first.append(&begin(1, "line", 0)).await.unwrap();
    // As after `kill -9`: nothing renews and nothing is given back, yet the writer still believes in its lease.
    first.stop_renewing();
    let taken = second.lock(holder()).await.unwrap();
    assert!(taken.is_held() && !lease.is_held());
    assert_eq!(second.load().await.unwrap().unwrap().state.lineage, "line");

    let by_second = |late: &Result<(), StoreError>| matches!(late, Err(StoreError::Lost(Some(other))) if *other == holder());
    let late = first.commit(&State::empty("line"), 0).await.map(drop);
    assert!(by_second(&late), "{late:?}");
    let late = first.append(&intent(call(1, "db", 0))).await;
    assert!(by_second(&late), "{late:?}");
    let late = first.put_receipt(&receipt(1, DeployStatus::Completed)).await;
    assert!(by_second(&late), "{late:?}");
    let late = first.prune(0).await.map(drop);
    assert!(by_second(&late), "{late:?}");
    assert!(second.load().await.unwrap().unwrap().open.is_empty());
    assert_eq!(second.commit(&State::empty("line"), 0).await.unwrap(), 1);
    // The end of the old holder takes nothing from the new one.
    drop(lease);
    assert!(taken.is_held());
    assert_eq!(second.holder().await.unwrap(), Some(holder()));
}

#[tokio::test]
async fn a_writer_that_fell_behind_finds_its_line_taken() {
    let objects = Arc::new(Memory::default());
    let (behind, ahead) = (store(objects.clone()), store(objects.clone()));
    behind.append(&begin(1, "line", 0)).await.unwrap();
    for serial in 0..3 {
        ahead.commit(&State::empty("line"), serial).await.unwrap();
    }
    let late = behind.commit(&State::empty("line"), 0).await;
    assert!(matches!(late, Err(StoreError::Stale { expected: 0, found: 3 })), "{late:?}");
    assert_eq!(ahead.load().await.unwrap().unwrap().state.serial, 3);
}

#[tokio::test]
async fn no_write_that_goes_wrong_loses_what_was_promised() {
    let mut tried = 0;
    for fault in [Fault::NotSent, Fault::NotAnswered, Fault::Torn] {
        for at in 0..12 {
            let objects = Arc::new(Memory { fault: Some((at, fault)), ..Memory::default() });
            let mut told = Promised::default();
            run(&store(objects.clone()), |promised| told = promised).await;
            if objects.puts.load(Ordering::SeqCst) <= at {
                continue;
            }
            tried += 1;
            keeps(&store(objects.clone()), told, &format!("{fault:?} at {at}")).await;
        }
    }
    assert!(tried >= 18, "only {tried} writes went wrong");
}

#[tokio::test]
async fn what_services_wrote_is_there_for_the_next_machine() {
    let objects = Arc::new(Memory::default());
    let shared = |own: MemoryVault| SharedVault::open(objects.clone(), Arc::new(own)).unwrap();
    let (first, second) = (shared(MemoryVault::default()), shared(MemoryVault::default()));
    let values: BTreeMap<_, _> = [("URL".to_owned(), Secret::from("hunter2"))].into();
    first.replace_credentials("db", values.clone()).await.unwrap();
    assert_eq!(second.credentials().await.unwrap(), [("db".to_owned(), values)].into());
    assert_eq!(
        second.digest_key().await.unwrap().expose(),
        first.digest_key().await.unwrap().expose()
    );
    let clear = objects.objects.lock().unwrap();
    let shows = |bytes: &[u8]| bytes.windows(7).any(|window| window == b"hunter2");
    assert!(clear.values().all(|(bytes, _)| !shows(bytes)));
}
