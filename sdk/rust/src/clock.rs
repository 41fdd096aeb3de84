//! Time and chance, kept by the host so that an interrupted call can be replayed.
//!
//! Use these and nothing else: the standard library's clock is not connected to anything real.

use std::time::Duration;

use crate::host;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_ms() -> u64 {
    // Whole milliseconds of this era are exact in an f64; a negative clock becomes 0.
    host::now_ms() as u64
}

/// Waits. Costs none of the call's processor budget.
pub fn wait(duration: Duration) {
    host::wait(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX));
}

/// Random bytes, at most 1024.
pub fn random(count: u32) -> Vec<u8> {
    host::random(count)
}
