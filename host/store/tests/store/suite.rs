//! The conformance suite of the port, with and without an overlay.

use std::sync::Arc;

use ss_testkit::state_store_suite;

use crate::Place;

#[tokio::test]
async fn passes_the_suite() {
    state_store_suite(|| -> ss_testkit::Place {
        let place = Place::new();
        Box::new(move || Arc::new(place.store()))
    })
    .await;
}

#[tokio::test]
async fn passes_the_suite_with_an_overlay() {
    state_store_suite(|| -> ss_testkit::Place {
        let place = Place::with_overlay("version: \"2\" # mine\n");
        Box::new(move || Arc::new(place.store()))
    })
    .await;
}
