//! The PBThread layer: state, primitives, invariant. Read this page first.
//!
//! The layer is ordinary Rust, generic over a [`Machine`](core::machine::Machine): the same source boots, runs hosted
//! and is proved. The layer does not depend on hardware, a solver or an operating system. Numbers, names and sections
//! in the documentation are the reference's.
//!
//! 1. **A primitive is a function** `(&mut Cpu<M>, arguments) -> Result<_, Stuck>`. A broken precondition is a named
//!    [`Stuck`](core::stuck::Stuck), never a panic and never a silent continuation.
//! 2. **The state is split by owner** ([`core::state`]): a CPU holds its own state by `&mut`, and shared objects have
//!    locks.
//! 3. **Every proof allows for other CPUs**: taking a lock means that other CPUs may have changed the object, within
//!    its rely condition [`Object::rely`](core::machine::Object::rely). The guarantee is not written down, because
//!    it is the same relation.
//! 4. **A context switch is the last step of a kernel entry**: [`thread_yield`](objects::thread::thread_yield) is a
//!    pure transition. Only the machine can consume the [`Resume`](objects::thread::Resume) that it returns.
//!
//! All that belongs to one object is in one folder, [`objects`]: the code, and in `spec.rs` the contracts, the
//! meaning of the logged events, and the facts of the invariant. If no proof can tell a mutant from the code, a
//! comment above the line explains it; the prover reads this comment. [`catalogue`] is the table of all primitives,
//! [`invariant`] the list of all facts. Code imports [`core`] and other code; specification imports code, never the
//! other way round.
#![no_std]
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod core;
pub mod invariant;
pub mod objects;
pub mod spec;
