//! A processor, as the kernel sets it up and uses it.
//!
//! Read `block` first: the data that each CPU keeps for itself. `context` is what the kernel keeps of a thread.
//! `trap` has the reasons for entries into the kernel, and `vectors` the numbers of exceptions and interrupts.
//! `descriptors` defines the segments and their selectors, and `tables` builds the descriptor tables. `registers`
//! sets the control registers. `running` counts the CPUs. `machine_check` reports errors of the hardware, which
//! `machine_check_bank` decodes.

#[cfg(feature = "image")]
pub mod block;
pub mod context;
pub mod descriptors;
#[cfg(feature = "image")]
pub mod machine_check;
pub mod machine_check_bank;
#[cfg(feature = "image")]
pub mod registers;
#[cfg(feature = "image")]
pub mod running;
#[cfg(feature = "image")]
pub mod tables;
#[cfg(feature = "image")]
pub mod trap;
pub mod vectors;
