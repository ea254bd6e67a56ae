//! x
#![no_std]
#![forbid(unsafe_code)]
pub mod clock;
pub mod cmos;
pub mod cpuid;
pub mod msr;
pub mod pic;
pub mod pit;
pub mod ports;
pub mod uart;
