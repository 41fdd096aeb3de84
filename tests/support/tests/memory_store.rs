//! The fake store keeps the promises of the real one.

use std::sync::Arc;

use ss_testkit::{MemoryStore, Place, state_store_suite};

#[tokio::test]
async fn the_fake_passes_the_suite() {
    state_store_suite(|| -> Place {
        let store = MemoryStore::default();
        Box::new(move || Arc::new(store.clone()))
    })
    .await;
}
