//! The kernel's machine, as the layer sees it: words are registers, and each field has its own storage.
//!
//! Read [`run`] first: the main loop, whose hooks [`hooks`] passes to boot. [`Metal`] is the machine itself. `answers`
//! has the hardware's answers to the layer, with `system` for system calls and [`serial`] for the UART. `fields` gives
//! each field its storage (the table below), on the [`Platform`] that boot has found; `state` makes the whole state at
//! boot. [`guest`] turns virtualisation on and runs a CPU's guest. `program_table` counts the programs, and
//! [`checkpoint`] writes the state to a watcher, over `com2`, and `hardware` compares what the layer says of the
//! hardware with the hardware. Two modules stand beside the main loop: `short_path` is a second version of one system
//! call that takes fewer instructions, and [`fault_injection`] lets images break the state.
//!
//! No code here decides what a primitive does. The table shows, for each storage, why different entries are
//! different memory:
//!
//! | field | storage | memory |
//! |-------|------|--------|
//! | `AC`, `kctxt`, `vmxinfo`, `vmx`, `rx_buf`, `cons_buf` | [`Array`] | a slice for each CPU, cut out of kernel memory |
//! | `ioapic.lines` | `Lines` | the same, and the mask of one line in the I/O APIC |
//! | `AT` | [`Allocation`] | one slice and the bits of free frames, inside the allocation table's lock |
//! | `tcb.next` | [`Links`] | two slices |
//! | `syncchpool`, `mailbox` | [`Blocks`], [`Mail`] | a slice each |
//! | `uctxt` | `UserContexts` | a slice for each CPU, into which the trap stubs save |
//! | `ptpool` | [`Directories`] | the page directories that were set up for each thread at boot |
//! | `pt` | [`PageTables`] | the processor's own tables, in users' frames |
//! | `HP` | [`Physical`] | users' frames |
//! | `vmcs` | [`Fields`] | the CPU's VMCS or VMCB, and a slice beside it |
//! | `ept` | [`Nested`] | the CPU's nested page tables, in kernel memory; none if it runs no guests |
//! | every ghost field | [`ErasedMap`] | none |
//!
//! Kernel memory lies below 1 GiB, and `Frames` hands out each of its frames once; users' frames lie from 1 GiB on. So
//! the kinds other than `pt` and `HP` are disjoint from each other and from these two. `pt` and `HP` share the users'
//! frames: a frame is either a page table or data. The ghost field `pperm` records which, and every access asserts it;
//! that is proved. CPUs share `ptpool`, `pt` and `HP`. A directory belongs to the CPU of its thread ([`Directories`]
//! checks this in builds with debug assertions). A frame belongs to the CPU that allocated it, as `pperm` records too.
//!
//! [`Allocation`]: crate::storage::Allocation
//! [`Array`]: crate::storage::Array
//! [`Blocks`]: crate::storage::channels::Blocks
//! [`Directories`]: crate::storage::directories::Directories
//! [`Links`]: crate::storage::links::Links
//! [`Mail`]: crate::storage::channels::Mail
//! [`ErasedMap`]: crate::storage::ErasedMap
//! [`Fields`]: crate::guest::fields::Fields
//! [`Nested`]: crate::guest::nested::Nested
//! [`PageTables`]: crate::storage::frames::PageTables
//! [`Physical`]: crate::storage::frames::Physical
mod answers;
pub mod checkpoint;
mod com2;
pub mod fault_injection;
mod fields;
pub mod guest;
mod hardware;
pub mod hooks;
mod lines;
mod locks;
mod metal;
mod platform;
mod program_table;
pub mod run;
pub mod serial;
mod short_path;
mod state;
mod system;
mod user_contexts;

pub use metal::{Metal, Saved};
pub use platform::{Place, Platform, platform, set_platform};
pub use state::{processor, shared};
