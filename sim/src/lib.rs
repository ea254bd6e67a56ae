//! The hosted machine: up to eight CPUs in one process. It is deterministic, and the layer runs on it as ordinary Rust.
//!
//! No code here decides what a primitive does. The layer and the layer above run unchanged, with sparse maps as
//! storage, all ghost state and the whole log. The hardware is simulated. Each folder uses only folders above it:
//!
//! - [`x86`]: an interpreter for programs. It knows no kernel.
//! - [`machine`]: the machine, as an instance of the layer's traits.
//! - [`state`]: copies of a machine's state, and its values by name.
//! - [`check`]: the invariant at any moment, a log against the objects, and a log against the rely conditions.
//! - [`run`](mod@run): programs from boot to power-off.
//! - [`counterexample`]: one call of a primitive or one entry of the kernel, from a state given as data.
//! - [`session`]: calls one after the other, as lines of JSON.
#![forbid(unsafe_code)]

pub mod check;
pub mod counterexample;
pub mod machine;
pub mod run;
pub mod session;
pub mod state;
pub mod x86;

pub use run::run;
