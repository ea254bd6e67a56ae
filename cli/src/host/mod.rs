//! What the commands share: the host on which they run.
//!
//! In the order to read it: [`error`] has the errors of all commands. [`workspace`], [`tools`] and [`child`] are
//! directories, programs and child processes. [`image`] builds images of the kernel, and [`archive`] writes boot
//! archives. [`emulator`] runs an image, and [`watch`] checks the running kernel. [`job`] runs programs on a machine,
//! emulated or hosted. [`calls`] counts the calls of primitives in such a run.
//! [`counts`] are the results of tests.

pub mod archive;
pub mod calls;
pub mod child;
pub mod counts;
pub mod emulator;
pub mod error;
pub mod image;
pub mod job;
pub mod linux;
pub mod tools;
pub mod watch;
pub mod workspace;
