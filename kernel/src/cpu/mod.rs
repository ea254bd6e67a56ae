//! A processor, as the kernel sets it up and sees it.
//!
//! Read `block` first: what each CPU keeps for itself. `context` is what the kernel keeps of a thread; `trap` is
//! what an entry into the kernel brings, by one of the `vectors`. `descriptors` numbers the segments, and `tables`
//! builds the descriptor tables. `registers` sets the control registers. `running` counts the CPUs.
//! `machine_check` reports errors of the hardware, which `machine_check_bank` decodes.

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
