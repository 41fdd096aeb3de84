//! Traces of a run, sent to the user's own collector over OTLP/HTTP.
//!
//! Governed by the standard `OTEL_*` variables and by nothing in a repository: a cloned project cannot choose where traces
//! go. Without such a variable nothing is made, opened or started. A collector that is slow, wrong or gone never fails a
//! run and hardly delays it: see [`Telemetry::finish`].
//!
//! Absent on purpose: metrics, logs, gRPC, `baggage`, URLs, request and reply bodies.

mod config;
mod encode;
mod exporter;
mod ids;
mod send;
mod span;
mod telemetry;
mod wrap;

pub use config::{Config, Decision};
pub use telemetry::Telemetry;
