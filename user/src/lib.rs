//! The library of Cairn's programs: start-up code, system calls, printing, memory, channels, locks.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! extern crate alloc;
//!
//! use alloc::vec::Vec;
//! use user::channel::Channel;
//! use user::{println, program};
//!
//! program!(main);
//!
//! /// What `main` returns says how the program ends: nothing, a status, or an error.
//! fn main() -> Result<(), abi::Error> {
//!     let squares: Vec<u32> = (1..=10).map(|n| n * n).collect();
//!     Channel::open(7)?.send(&squares)?;
//!     println!("sent {} squares to whoever waits at channel 7", squares.len());
//!     Ok(())
//! }
//! ```
//!
//! `cargo cairn new-program NAME` creates a program; docs/write-a-program.md continues from there.
//!
//! A program is a static ELF file, the same for the kernel and for the hosted machine. It begins with its stack pointer
//! at [`abi::STACK_TOP`], every other general register 0 and only its own segments mapped. The kernel maps a zeroed
//! page when the program first touches it in the window, as long as its quota lasts. Each page costs one unit, and the
//! page table of each 2 MiB region costs one more. The program's arguments, if it has any, are on a read-only page of
//! their own, which costs one unit as well: [`args()`].
//!
//! The host-side crate `programs` builds the programs with the right flags, and sets the feature `program`. Without
//! that feature, this library has no start-up code and links into any host program.
#![no_std]

#[cfg(target_arch = "x86_64")]
extern crate alloc;

pub mod command;
pub mod heap;
pub mod image;
pub mod line;
pub mod random;

#[cfg(target_arch = "x86_64")]
pub mod args;
#[cfg(target_arch = "x86_64")]
pub mod channel;
#[cfg(target_arch = "x86_64")]
pub mod console;
#[cfg(target_arch = "x86_64")]
pub mod guest;
#[cfg(target_arch = "x86_64")]
pub mod memory;
#[cfg(target_arch = "x86_64")]
pub mod poison;
#[cfg(target_arch = "x86_64")]
pub mod sync;
#[cfg(target_arch = "x86_64")]
pub mod sys;
#[cfg(target_arch = "x86_64")]
pub mod vm;

#[cfg(all(feature = "program", target_arch = "x86_64"))]
pub mod bench;
#[cfg(all(feature = "program", target_arch = "x86_64"))]
pub mod quota;
#[cfg(all(feature = "program", target_arch = "x86_64"))]
pub mod start;

#[cfg(target_arch = "x86_64")]
pub use args::args;
