//! Layer.
#![no_std]
