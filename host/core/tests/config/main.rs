//! Configurations: the corpus, the limits, the laws.

mod codes;
mod corpus;
mod fuzz;
mod limits;
mod properties;
mod schemas;
mod support;
