//! The PBThread layer: state, primitives, invariant. Read this first.
//!
//! The layer is ordinary Rust, generic over a [`Machine`](machine::Machine): the same source boots, runs hosted and is
//! proved. The layer does not depend on hardware, a solver or an operating system. Numbers, names and sections in the
//! documentation are the reference's.
//!
//! 1. **A primitive is a function** `(&mut Cpu<M>, arguments) -> Result<_, Stuck>`. A broken precondition is a named
//!    [`Stuck`](stuck::Stuck), never a panic and never a silent continuation.
//! 2. **The state is split by owner** ([`state`]): a CPU holds its own state by `&mut`, and shared objects have locks.
//! 3. **Every proof allows for other CPUs**: taking a lock means that other CPUs may have changed the object, within
//!    its rely condition [`Object::rely`](machine::Object::rely). No guarantee is written down: it is the same
//!    relation.
//! 4. **A context switch is the last step of a kernel entry**: [`thread_yield`](thread::thread_yield) is a pure
//!    transition. Only the machine can consume the [`Resume`](thread::Resume) that it returns.
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
