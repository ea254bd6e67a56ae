//! The programs of the image `try-ring3`.
//!
//! Read [`snippets`] first: what a program is, and most of them. [`segments`] has those that use segments.

pub mod segments;
pub mod snippets;
