//! Physical and virtual memory.
//!
//! Read `layout` first: the boundaries of physical memory, and the virtual addresses. `memory_map` describes the
//! machine's memory, in a `range_set`. `frames` hands out the kernel's page frames, and `keep` puts permanent
//! values there. `direct_map` reaches all memory. `paging` builds the kernel's own page map, with the `stacks` of
//! each CPU, and the page maps of threads; `user_space` computes where their tables are.

pub mod direct_map;
pub mod frames;
pub mod keep;
pub mod layout;
pub mod memory_map;
#[cfg(feature = "image")]
pub mod paging;
pub mod range_set;
pub mod stacks;
pub mod user_space;
