//! The real binary, from the outside: what a user types and what they get.
//!
//! Each test has its own directory, home and sandbox. Nothing of the developer's environment reaches the binary.

mod common;

mod action;
mod as_files;
mod bad_configurations;
mod configuration;
mod day_two;
mod destroy;
mod drift;
mod enemy;
mod files_and_home;
mod first_provisioner;
mod graph;
mod guest_memory;
mod import;
mod json_shapes;
mod language_server;
mod main_job;
mod overrides;
mod plan;
mod plugin;
mod receipts;
mod rollback;
mod rolling;
mod shell;
mod ssh;
mod state;
mod telemetry;
mod terminal;
mod vault_and_auth;
mod vendor_trouble;
mod walkthrough;
