//! The layer against its scripted host: the loops, the answers, and the rules that the host keeps.

mod answers;
mod host;
mod loops;
mod manifest;
