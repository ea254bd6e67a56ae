//! Data and protocols that CPUs share: locks, and protocols of one or two atomic words.
//!
//! Read `lock` first: everything that more than one CPU changes is behind such a lock. `once` holds values that
//! boot sets once, and `pending` the work that every entry must look for. `doorbell` decides whether a CPU may
//! halt, and `arrival` whether a CPU that boot has started arrived in time.

pub mod arrival;
pub mod doorbell;
pub mod lock;
pub mod once;
pub mod pending;
