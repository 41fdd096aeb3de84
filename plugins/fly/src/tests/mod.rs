//! Whole calls against a scripted Fly: which requests, in which order, and what the user reads.

mod create;
mod lost_answers;
mod manifest;
mod read_and_destroy;
mod rolling;
mod scaling;
mod support;
mod trouble;
