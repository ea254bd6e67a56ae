//! x
#![no_std]
#![forbid(unsafe_code)]
pub mod pic;
pub mod cmos;
pub mod pit;
pub mod uart;
