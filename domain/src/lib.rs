//! Values.
#![no_std]
