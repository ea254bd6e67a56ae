//! The PBThread layer: state, primitives, invariant. Read this first.
//!
//! The layer is ordinary Rust, generic over a [`Machine`](machine::Machine): the same source boots, runs hosted and is
//! proved. The layer does not depend on hardware, a solver or an operating system. Numbers, names and sections in the
//! documentation are the reference's.
//!
//! 1. **A primitive is a function** `(&mut Cpu<M>, arguments) -> Result<_, Stuck>`. A broken precondition is a named
//!    [`Stuck`](stuck::Stuck), never a panic and never a silent continuation.
//! 2. **The state is split by owner** ([`state`](crate::core::state)): a CPU holds its own state by `&mut`, and shared objects have locks.
//! 3. **Every proof allows for other CPUs**: taking a lock means that other CPUs may have changed the object, within
//!    its rely condition [`Object::rely`](machine::Object::rely). No guarantee is written down: it is the same
//!    relation.
//! 4. **A context switch is the last step of a kernel entry**: [`thread_yield`](thread::thread_yield) is a pure
//!    transition. Only the machine can consume the [`Resume`](thread::Resume) that it returns.
#![no_std]
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod core;
pub mod invariant;
pub mod objects;
pub mod spec;
