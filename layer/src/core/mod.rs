//! What all objects are made of: the machine, the state, its fields, calls and their arguments.
pub mod bits;
pub mod call;
pub mod constants;
pub mod dump;
pub mod fields;
pub mod geometry;
pub mod keys;
pub mod log;
pub mod machine;
pub mod replay;
pub mod ring;
pub mod state;
pub mod stuck;
