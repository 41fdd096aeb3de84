//! A local Neon and Fly on 127.0.0.1: stateful, honest, and ignorant of `ss`.
//!
//! `server` is the shell; `neon` and `fly` are the two vendors; everything that moves by itself
//! moves by `clock`, everything that must survive a crash goes through `persist`.

pub mod clock;
pub mod faults;
pub mod fly;
pub mod journal;
pub mod log;
pub mod neon;
pub mod persist;
pub mod postgres;
pub mod sandbox_yaml;
pub mod settings;
pub mod shared;

mod app_proxy;
mod control;
mod folder;
mod front;
mod machine;
mod random;
mod server;

pub use folder::{Running, is_held, running};
pub use server::{Options, Sandbox, ServeError, serve};
