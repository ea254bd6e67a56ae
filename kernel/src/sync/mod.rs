//! What CPUs share: locks, and protocols of one or two atomic words.
//!
//! Read `lock` first: everything that more than one CPU changes is behind such a lock. `once` holds what boot sets
//! once, `pending` the work that every entry must look for, `doorbell` decides whether a CPU may halt, and
//! `arrival` whether a CPU that boot has started came in time.

pub mod arrival;
pub mod doorbell;
pub mod lock;
pub mod once;
pub mod pending;
