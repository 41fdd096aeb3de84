//! What people read: plans, progress, receipts. Colour never carries meaning alone.

pub mod drift;
pub mod graph;
pub mod inspect;
pub mod plan;
pub mod progress;
pub mod rollback;
pub mod style;

/// Prints a document for a program: one line that a terminal survives, too.
pub fn answer(document: &serde_json::Value) {
    println!("{}", ss_core::text::json(document));
}
