//! The hosted machine: eight CPUs in one process, deterministic, on which the layer runs as ordinary Rust.
//!
//! Nothing here decides what a primitive does: the layer and the layer above run as they are, with sparse maps for
//! homes, all ghost state and the whole log. What the hardware does otherwise is simulated:
//!
//! - [`board`]: memory, boot archive and console, for everything that a machine of the layer asks by itself;
//! - [`baton`]: which CPU runs; a switch happens only where a lock is about to be taken and after a slice of a
//!   program's instructions, and a seed fixes all of them;
//! - [`user`]: a program's instructions, every fetch, load and store of which is an accessor of the layer;
//! - [`tlb`]: what a processor remembers of page maps, until the kernel makes it forget.
//!
//! [`run()`] runs programs from boot to power-off, and replays what was logged ([`history`], [`oracle`]); [`check`] evaluates the invariant at any moment; [`replay`] makes one
//! call, or enters the kernel once, from a state that is given as data ([`witness`]), on a machine that answers what it is
//! told ([`script`]); a [`session`] makes calls one after the other, as lines of JSON.
#![forbid(unsafe_code)]

pub mod baton;
pub mod board;
pub mod check;
pub mod guest;
pub mod history;
pub mod live;
pub mod lock;
pub mod log;
pub mod machine;
pub mod maps;
pub mod oracle;
pub mod replay;
pub mod run;
pub mod script;
pub mod serial;
pub mod session;
pub mod snapshot;
pub mod sparse;
pub mod tlb;
pub mod user;
pub mod witness;
pub mod x86;

mod runner;

pub use run::run;
