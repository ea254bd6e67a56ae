//! The programs of the image `try-ring3`.
//!
//! Read [`snippets`] first: it defines a program, and has most of them. [`segments`] has those that use
//! segments.

pub mod segments;
pub mod snippets;
