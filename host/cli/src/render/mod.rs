//! What people read: plans, progress, receipts. Colour never carries meaning alone.

pub mod graph;
pub mod inspect;
pub mod plan;
pub mod progress;
pub mod style;
