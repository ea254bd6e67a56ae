//! The objects of the layer, one folder each: code, contracts, facts.
pub mod boot;
pub mod channel;
pub mod console;
pub mod container;
pub mod context;
pub mod interrupt;
pub mod memory;
pub mod mode;
pub mod page_alloc;
pub mod page_copy;
pub mod page_table;
pub mod process;
pub mod queue;
pub mod thread;
pub mod trap;
pub mod vmx;
