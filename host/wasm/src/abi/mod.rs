//! One module per track of the contract. A track turns the contract's types into the gate's and back.

pub(crate) mod v0_1;
