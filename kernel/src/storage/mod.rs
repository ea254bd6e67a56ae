//! The storage of the fields of the layer's state, in the kernel.
//!
//! The prover assumes that entries with different keys, and entries of different fields, are different memory. This
//! module ensures it; the documentation of each storage has its own part of the argument.
//!
//! - *Arrays* ([`Array`], [`Links`](links::Links), [`Blocks`](channels::Blocks), [`Mail`](channels::Mail)) own their
//!   memory: each is built around a slice that boot cut out of free kernel memory for it, and Rust's slices do not
//!   alias. Arrays check bounds. The allocation table ([`Allocation`]) is an array with bits that say which frames are
//!   free.
//! - *The hardware's own memory* is reached through the direct map: page directories ([`directories`]), page tables and
//!   the bytes of users' frames ([`frames`]). Messages are copied between frames and mailboxes (`bytes.rs`). User contexts, into which the trap stubs save, are in `machine`.
//! - *Ghost fields* have the storage [`ErasedMap`].
//!
//! A storage defines how one entry is loaded and stored ([`Entries`]); [`Of`] makes a map of it.
mod allocation;
mod array;
mod bytes;
pub mod channels;
pub mod directories;
mod entries;
mod erased;
pub mod frames;
pub mod links;
pub mod lock_array;
pub mod page_entry;

pub use allocation::{Allocation, FreeFrames};
pub use array::{Array, zero};
pub use entries::{Coordinates, Entries, Of, fill_each};
pub use erased::{ErasedMap, NoLog};

#[cfg(test)]
pub(crate) mod host {
    //! A domain for tests on the host.
    use domain::{Count, Domain};
    use layer::core::geometry::{Paged, X64};

    /// Native words, and no storage.
    #[derive(Clone, Copy, Debug)]
    pub struct Host;

    impl Domain for Host {
        type Word = u32;
        type Wide = u64;
        type Nat = Count;
        type Flag = bool;
        type Place = ();
    }

    impl Paged for Host {
        type Geometry = X64;
    }
}
