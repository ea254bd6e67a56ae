//! The kernel's machine: the part of Cairn that depends on x86-64 hardware.
//!
//! The folders in the order in which they are read; each uses only the ones above it.
//!
//! | folder | subject |
//! |--------|---------|
//! | `sync` | locks, and the other words that CPUs share |
//! | `mm` | memory: the layout, page frames, page maps, stacks |
//! | `handover` | readers of what boot loader and firmware hand over |
//! | `cpu` | a processor: registers, descriptor tables, a thread's context |
//! | `devices` | UART, console, clocks, the end of a run |
//! | `irq` | interrupt controllers, timer, and what each interrupt does |
//! | `image` | the hooks of an image |
//! | `report` | the last report |
//! | `entry` | the ways into the kernel and out of it |
//! | `storage` | the storage of the layer's state |
//! | `guest` | guests: VT-x and SVM, nested page tables |
//! | `machine` | the layer's machine on this hardware, and the kernel's main loop |
//! | `boot` | from the boot loader to the image's hooks |
//!
//! Some modules run in ring 0 only, and exist only with the feature `image`. `cargo cairn` turns the feature on
//! together with the code-generation flags that an image needs. All other modules (arithmetic, parsing, locks, storage)
//! need no hardware and are tested on the host.
//!
//! An *image* is a binary that is linked with this crate: it names its hooks with `image!`, and `boot`
//! boots the machine and calls them. The images are in the crate `images`.
#![no_std]

#[cfg(feature = "image")]
pub mod boot;
pub mod cpu;
pub mod devices;
#[cfg(feature = "image")]
pub mod entry;
pub mod guest;
pub mod handover;
#[cfg(feature = "image")]
pub mod image;
#[cfg(feature = "image")]
pub mod irq;
#[cfg(feature = "image")]
pub mod machine;
pub mod mm;
#[cfg(feature = "image")]
pub mod report;
pub mod storage;
pub mod sync;

#[cfg(test)]
extern crate std;
