//! Readers of the data that boot loader and firmware hand over. All of it is untrusted input: every reader accepts any
//! bytes, and damage is an error or counts as missing.
//!
//! Read `start_info` first: the data that every boot loader hands over. `pvh` and `multiboot2` are its two forms;
//! `record` reads numbers from bytes. `options` reads the command line, `acpi` the firmware's tables, and
//! `archive` the boot archive with its `programs` and the kernel's `symbols`.

pub mod acpi;
pub mod archive;
pub mod multiboot2;
pub mod options;
pub mod programs;
pub mod pvh;
pub mod record;
pub mod start_info;
pub mod symbols;
