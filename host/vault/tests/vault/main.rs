//! The vault on a real disk: what is kept, what is refused, and what a thief of the folder would see.

mod damage;
mod identity;
mod keeping;
mod keys;
mod secrecy;
mod support;
mod writers;
