//! The hosted machine: native words, a sparse map for every field, all ghost state, and the whole log.
//!
//! In the order to read it:
//!
//! - [`sparse`]: the maps. [`log`]: the logs of shared objects. [`lock`]: locks and thread links.
//! - [`turns`]: which CPU runs. A switch happens only before a lock is taken, and after a slice of a program's
//!   instructions. A seed determines all switches.
//! - [`platform`]: memory, boot archive and console, that is, all that the layer queries from its machine. [`serial`]
//!   is the input of its UART.
//! - [`instance`]: the layer's traits for this machine. [`interactions`] records what an entry asks of it. [`boot`] makes the shared objects and CPUs
//!   of a machine.
//! - [`user`]: a program's instructions. Every fetch, load and store is an accessor of the layer. [`tlb`] has the
//!   translations that a processor caches, until the kernel invalidates them. [`guest`] does what the processor does
//!   to a virtual machine.
//! - [`panics`]: catches the panics of code that runs on the machine.

pub mod boot;
pub mod guest;
pub mod instance;
pub mod interactions;
pub mod lock;
pub mod log;
pub mod panics;
pub mod platform;
mod scoped;
pub mod serial;
pub mod sparse;
pub mod tlb;
pub mod turns;
pub mod user;

use domain::{Count, Domain};
use layer::core::geometry::{Paged, X64};

/// The hosted machine: native words, a sparse map for every field, all ghost state, and the whole log.
#[derive(Clone, Copy, Debug)]
pub struct Sim;

impl Domain for Sim {
    type Word = u32;
    type Wide = u64;
    type Nat = Count;
    type Flag = bool;
    type Place = ();
}

impl Paged for Sim {
    type Geometry = X64;
}
