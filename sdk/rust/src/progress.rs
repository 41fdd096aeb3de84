//! Telling the user and the record what is going on.

use serde::Serialize;

use crate::{Recorded, host};

/// Shows a finished step to the user; see [`step!`](crate::step!).
pub fn step(message: impl Into<String>) {
    host::step(message.into());
}

/// Writes a line into the deploy's log; see [`log!`](crate::log!).
pub fn log(message: impl Into<String>) {
    host::log(message.into());
}

/// Keeps what exists so far. It is durable when this returns: call it as soon as something exists.
pub fn checkpoint<A: Serialize>(partial: &Recorded<A>) {
    host::checkpoint(partial.to_raw());
}

/// Shows a finished step to the user: `step!("App created: {name}")`.
#[macro_export]
macro_rules! step {
    ($($part:tt)*) => { $crate::step(::std::format!($($part)*)) };
}

/// Writes a line into the deploy's log: `log!("waiting for {id}")`.
#[macro_export]
macro_rules! log {
    ($($part:tt)*) => { $crate::log(::std::format!($($part)*)) };
}
