//! Helpers for the tests of the interpreter.
// Each test uses only some of them.
#![allow(dead_code)]

pub mod kernel;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod native;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod scratch;
pub mod space;
