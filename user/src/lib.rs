//! What programs of Cairn are written with: the start-up code, the system calls, printing, memory, channels, locks.
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
//! `cargo cairn new-program NAME` makes one; docs/write-a-program.md goes on from there.
//!
//! A program is a static ELF file, the same for the kernel and for the hosted machine. It begins with
//! its stack pointer at [`abi::STACK_TOP`], every other general register 0 and nothing mapped but its own
//! segments: the kernel maps a zeroed page wherever it first touches the window, as long as its quota
//! lasts. Each page costs one unit, and one more for the page table of each 2 MiB region. Its arguments, if it was given any,
//! are on a page of their own, read-only, which costs one unit as well: [`args()`].
//!
//! The programs are built by the host-side crate `programs`, which knows the flags. Without the feature
//! `program`, which it sets, this library has no start-up code and links into any host program.
#![no_std]

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
pub mod memory;
#[cfg(target_arch = "x86_64")]
pub mod poison;
#[cfg(target_arch = "x86_64")]
pub mod sync;
#[cfg(target_arch = "x86_64")]
pub mod sys;

#[cfg(all(feature = "program", target_arch = "x86_64"))]
pub mod bench;
#[cfg(all(feature = "program", target_arch = "x86_64"))]
pub mod quota;
#[cfg(all(feature = "program", target_arch = "x86_64"))]
pub mod start;

#[cfg(target_arch = "x86_64")]
pub use args::args;
