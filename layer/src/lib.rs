//! The PBThread layer: state, primitives, invariant. Read this first.
//!
//! Everything is written once, over a [`Machine`](machine::Machine), in ordinary Rust: the same source is booted, run
//! hosted and proved. The layer knows no hardware, no solver and no operating system. Numbers, names and sections
//! in the documentation are the reference's.
//!
//! 1. **A primitive is a function** `(&mut Cpu<M>, arguments) -> Result<_, Stuck>`. A broken precondition is a named
//!    [`Stuck`](stuck::Stuck), never a panic and never a silent continuation.
//! 2. **State is split by owner** ([`state`]): what a CPU owns it holds by `&mut`, what is shared it locks.
//! 3. **Other CPUs are there from the start**: taking a lock means that they may have moved, within
//!    [`Object::rely`](machine::Object::rely), the only relation that is written down.
//! 4. **A context switch is the last step of a kernel entry**: [`thread_yield`](thread::thread_yield) is a pure
//!    transition whose [`Resume`](thread::Resume) only the machine can use up.
#![no_std]
#![forbid(unsafe_code)]

pub mod bits;
pub mod call;
pub mod channel;
pub mod console;
pub mod constants;
pub mod container;
pub mod context;
pub mod contract;
pub mod dump;
pub mod ept;
pub mod fields;
pub mod interface;
pub mod interrupt;
pub mod invariant;
pub mod log;
pub mod machine;
pub mod memory;
pub mod obligation;
pub mod page_alloc;
pub mod page_copy;
pub mod page_table;
pub mod primitive;
pub mod process;
pub mod queue;
pub mod replay;
pub mod ring;
pub mod serial;
pub mod state;
pub mod stuck;
pub mod thread;
pub mod trap;
pub mod vmcs;
pub mod vmx;
