//! The layer above: system calls, traps and faults, composed of the layer's primitives.
//!
//! Everything is written once, over a [`System`](system::System): a machine of the layer with the two things that
//! programs need beside it, a boot archive and a console. The same source runs hosted and on the metal, and the prover
//! shows that no program can get it stuck. Four principles make that possible:
//!
//! 1. **What comes from outside has a type that says so.** Registers of a program and answers of the machine are
//!    [`Unchecked`](unchecked::Unchecked) until a check makes them a word below a bound or an address of the window.
//! 2. **A refusal is an error number, never a stuck primitive**: whatever a primitive demands is asked for first.
//! 3. **Every kernel entry is one straight line** ([`entry`]), without unbounded loops. Where more is to be done, it
//!    ends in a [`Next`](next::Next) that says what: loading an image is a chain of steps, a page each.
//! 4. **What a step may count on is written down** ([`mode`], [`Load::ready`](spawn::Load::ready)), and the step before
//!    it must establish it ([`Next::holds`](next::Next::holds)).
#![no_std]
#![forbid(unsafe_code)]

pub mod effect;
pub mod entry;
pub mod image;
pub mod message;
pub mod mode;
pub mod next;
pub mod spawn;
pub mod stage;
pub mod system;
pub mod table;
pub mod trace;
pub mod unchecked;

mod calls;
mod memory;
mod process;
mod registers;
