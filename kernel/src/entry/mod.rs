//! The ways into the kernel and out of it.
//!
//! Read [`stubs`] first, together with `entry.s`: they are how a program, an interrupt or a fault enters the kernel.
//! [`ring3`] returns to a program, and [`idle`] halts a CPU that has no program to run.

pub mod idle;
pub mod ring3;
pub mod stubs;
