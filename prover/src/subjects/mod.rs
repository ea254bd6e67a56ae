//! What is proved: primitives, entries of the kernel, and theorems about the whole layer.

pub(crate) mod entries;
pub(crate) mod primitives;
pub(crate) mod theorems;
