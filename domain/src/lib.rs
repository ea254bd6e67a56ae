//! What a primitive may do with values, and nothing else.
//!
//! A primitive of the layer is written once, generic over a [`Domain`]: a family of value types that a
//! machine supplies. Three principles keep one source good for three uses:
//!
//! 1. **Comparisons are Rust's own.** `<`, `==` and [`Flag::holds`] give a real `bool`, so `if`, `match` and
//!    `?` are ordinary. Natively a [`Word`] *is* a `u32`; symbolically a comparison asks a path explorer.
//! 2. **Maps go by value.** A page-table entry, a VMCS field or an atomic cannot be lent, so a [`Map`] has
//!    `get`, `set` and `update`, never a reference into it. A [`Field`] names key, value and bounds and says
//!    nothing of where it lives: [`Home`] gives each field its map type, machine by machine.
//! 3. **Ghost state cannot steer.** What only the specification speaks of sits behind [`Ghost`]: it can be
//!    written, and can only say yes or no to a check that erasure answers with yes.
#![no_std]
#![forbid(unsafe_code)]

mod data;
mod geometry;
mod ghost;
mod map;
mod native;
mod word;

pub use data::{Data, Sink, Source};
pub use geometry::{Geometry, Reference, X64};
pub use ghost::{Erased, Ghost, Present};
pub use map::{Field, Home, Key, Map};
pub use native::Count;
pub use word::{Flag, Nat, Wide, Word};

use core::fmt::Debug;

/// A family of value types.
pub trait Domain: Copy + Debug + 'static {
    /// Sizes of the page tables.
    type Geometry: Geometry;
    /// A 32-bit machine word.
    type Word: Word;
    /// A 64-bit machine word: registers, addresses as the hardware has them.
    type Wide: Wide<Self::Word>;
    /// A ghost counter without bounds.
    type Nat: Nat<Self::Word>;
    /// A stored truth value.
    type Flag: Flag;
    /// Where an instance of a map or of a shared object lives: nothing hosted, an address on the metal, a
    /// name and a version symbolically. It is the one argument of every constructor.
    type Place: Copy;

    /// What `condition` says. However much it compares it is one decision, where comparing one by one would be many paths.
    #[inline(always)]
    #[track_caller]
    fn decide(condition: impl Fn() -> bool) -> bool {
        condition()
    }
}
