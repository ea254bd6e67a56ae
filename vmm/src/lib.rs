//! x
#![no_std]
#![forbid(unsafe_code)]
pub mod pic;
pub mod pit;
