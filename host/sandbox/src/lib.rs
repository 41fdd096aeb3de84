//! A local Neon and Fly on 127.0.0.1: stateful, honest, and ignorant of `ss`.
//!
//! `server` is the shell; `neon` and `fly` are the two vendors; everything that moves by itself
//! moves by `clock`, everything that must survive a crash goes through `persist`.

pub mod clock;
pub mod persist;

mod app_proxy;
pub mod fly;
mod machine;
pub mod sandbox_yaml;
