//! User library.
#![no_std]
