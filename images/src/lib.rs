//! The images: the kernel, those that the bench boots, and one for each behaviour of the hardware half.
//!
//! Each file in `src/bin/` is an image, and has its name: `cairn` is the kernel; `cargo cairn bench` boots `bench` and
//! `bench-…`; and `cargo cairn boots` boots each `try-…`, and knows the result that it must have. This library has what
//! several images share: a guest on each CPU (`guest`), a page map with a program (`user`), the programs of `try-ring3`
//! (`ring3`), and a way to cause a double fault (`lost_stack`).
//!
//! An image is built for ring 0, with the feature `image` and code-generation flags of its own: `cargo cairn` passes
//! both. Without the feature every image is an empty program, so that a build of the whole workspace succeeds. For this
//! purpose each image begins with these lines:
//!
//! ```ignore
//! #![cfg_attr(not(test), no_main)]
//! #![cfg(feature = "image")]
//! #![no_std]
//! ```
#![no_std]
#![cfg(feature = "image")]

pub mod guest;
pub mod lost_stack;
pub mod ring3;
pub mod user;
