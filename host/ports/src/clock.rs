//! Time and chance.

use std::time::Duration;

use async_trait::async_trait;

/// The only source of time, waiting and randomness in the engine.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
    /// Waits.
    async fn sleep(&self, duration: Duration);
    /// Random bytes.
    fn random(&self, count: usize) -> Vec<u8>;
}
