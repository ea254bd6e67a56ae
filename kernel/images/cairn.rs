//! The kernel.
#![no_std]
#![no_main]

kernel::image!(kernel::metal::machine::run::IMAGE);
