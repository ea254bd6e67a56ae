//! The kernel.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

kernel::image!(kernel::machine::hooks::IMAGE);
