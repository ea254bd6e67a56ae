//! The layer above the primitives: system calls, traps and faults, composed of primitives.
//!
//! Everything is written once, over a [`System`](system::System): a machine of the layer with a boot archive and a
//! console, which programs need in addition. The same source runs hosted and in the kernel, and the prover shows that
//! no program can get it stuck. Four principles make that possible:
//!
//! 1. **The type of a value says that it comes from outside.** Registers of a program and answers of the machine are
//!    [`Unchecked`](unchecked::Unchecked) until a check makes them a word below a bound or an address of the window.
//! 2. **A refusal is an error number, never a stuck primitive**: the code checks every precondition of a primitive
//!    first.
//! 3. **Every kernel entry is bounded** ([`entry`]): it has no unbounded loops. If work is left, the entry ends in a
//!    [`Next`](next::Next) that names the next step. For example, an image is loaded by a chain of steps, one page each.
//! 4. **Each step has a written precondition** ([`mode`], [`Load::ready`](next::Load::ready)), and the step before it
//!    must establish it ([`Next::holds`](next::Next::holds)).
#![no_std]
#![forbid(unsafe_code)]

pub mod continuation;
pub mod effect;
pub mod entry;
pub mod guest;
pub mod image;
pub mod message;
pub mod mode;
pub mod next;
pub mod spawn;
pub mod system;
pub mod table;
pub mod trace;
pub mod unchecked;

mod calls;
mod failure;
mod memory;
mod process;
mod registers;
