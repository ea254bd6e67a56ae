//! Runs a counterexample: one call of a primitive, or one entry of the kernel, from a state given as data. Reports the
//! violated clauses.
//!
//! In the order to read it:
//!
//! - [`witness`]: the start state, the arguments, the interference and the machine's answers, as data. [`arguments`]
//!   has the arguments of a primitive by name, and [`answers`] gives the machine's answers.
//! - [`outcome`]: the result, and the clauses that can be violated.
//! - [`call`] and [`entry`]: run a call of a primitive, and an entry of the kernel. Both use `execution`, with
//!   `interference` where a lock is taken, and `modifies`, which compares the writes with the modifies clause.

pub mod answers;
pub mod arguments;
pub mod call;
pub mod entry;
mod execution;
mod interference;
mod modifies;
pub mod outcome;
pub mod witness;
