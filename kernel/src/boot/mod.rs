//! Boot: from the boot loader's first jump to the hooks of the image.
//!
//! Read `boot.s` first: the way to 64-bit mode. [`start`] sets the machine up on CPU 0, or refuses it by an
//! [`error`]. [`smp`] starts the other CPUs.

pub mod error;
pub mod smp;
pub mod start;
