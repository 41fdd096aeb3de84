//! The provisioner against a scripted host: what it asks, in which order, and what it makes of the answers.

mod adopt;
mod create;
mod destroy;
mod errors;
mod find;
mod fixtures;
mod manifest;
mod read;
mod update;
