//! Copies of a machine's state, and its values by name.
//!
//! In the order to read it: [`snapshot`] copies and restores a state, [`maps`] visits all maps of a state, and
//! [`values`] reads and writes scalars and leaves by name.

pub mod maps;
pub mod snapshot;
pub mod values;
