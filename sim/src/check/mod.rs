//! Checks of a machine: of its state, and of its log.
//!
//! In the order to read it:
//!
//! - [`facts`]: evaluates the invariant on a state.
//! - [`replay`]: replays a log, and compares the result with the machine's objects.
//! - [`rely`]: checks on a log that the CPUs keep to their rely conditions.
//! - [`live`]: reads the state that a kernel elsewhere has written, and evaluates the invariant on it.

pub mod facts;
pub mod live;
pub mod rely;
pub mod replay;
