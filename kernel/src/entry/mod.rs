//! The ways into the kernel and out of it.
//!
//! Read [`stubs`] first, beside `entry.s`: how a program, an interrupt or a fault enters the kernel. [`ring3`] is the way
//! out to a program, and [`idle`] the halt of a CPU that has none.

pub mod idle;
pub mod ring3;
pub mod stubs;
