//! To be filled by the Fly half.
