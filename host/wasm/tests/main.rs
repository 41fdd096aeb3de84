//! Real components in the real host; only the host's side of a call is a script.

mod contract;
mod embedded;
mod ends;
mod fuzz;
mod guests;
mod limits;
mod loading;
mod smoke;
mod surroundings;
