//! The hosted machine: up to eight CPUs in one process. It is deterministic, and the layer runs on it as ordinary Rust.
//!
//! Nothing here decides what a primitive does. The layer and the layer above run unchanged, with sparse maps as
//! storage, all ghost state and the whole log. The hardware is simulated:
//!
//! - [`board`]: memory, boot archive and console, for everything that the layer asks its machine.
//! - [`baton`]: which CPU runs. A switch happens only before a lock is taken, and after a slice of a program's
//!   instructions. A seed determines all switches.
//! - [`user`]: a program's instructions. Every fetch, load and store is an accessor of the layer.
//! - [`tlb`]: the translations that a processor remembers, until the kernel invalidates them.
//!
//! [`run()`] runs programs from boot to power-off, and replays the log ([`history`]). [`oracle`] checks on a log that
//! the CPUs keep to their rely conditions. [`check`] evaluates the invariant at any moment. [`replay`] makes one call,
//! or enters the kernel once, from a state given as data ([`witness`]), on a machine with scripted answers
//! ([`script`]). A [`session`] makes calls one after the other, as lines of JSON.
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
