//! The kernel.
#![no_std]
#![no_main]

kernel::image!(kernel::machine::run::IMAGE);
