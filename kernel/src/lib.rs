//! The kernel's machine: the part of Cairn that only x86-64 hardware can do.
//!
//! The modules at the top level (arithmetic, parsing, locks) need no hardware and are tested on the host. `metal` is
//! the code that runs in ring 0: it exists only with the feature `image`, which `cargo cairn` turns on together with
//! the code-generation flags that an image needs.
//!
//! An *image* is one of the crate's binaries: it names its hooks with `image!`, and `metal` boots the machine and calls
//! them.
#![no_std]

pub mod acpi;
pub mod archive;
pub mod arrival;
pub mod clock;
pub mod context;
pub mod descriptors;
pub mod direct_map;
pub mod doorbell;
pub mod exit;
pub mod frames;
pub mod home;
pub mod input;
pub mod layout;
pub mod lock;
pub mod machine_check;
pub mod memory_map;
pub mod multiboot2;
pub mod once;
pub mod options;
pub mod programs;
pub mod pvh;
pub mod range_set;
pub mod record;
pub mod stacks;
pub mod start_info;
pub mod symbols;
pub mod user_space;
pub mod vectors;

#[cfg(feature = "image")]
pub mod metal;

#[cfg(test)]
extern crate std;
