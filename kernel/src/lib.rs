//! Kernel.
#![no_std]
