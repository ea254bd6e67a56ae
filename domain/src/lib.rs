//! The operations on values that a primitive may use, and no others.
//!
//! A primitive of the layer is written once, generic over a [`Domain`]: a family of value types that a machine
//! supplies. Three principles make one source fit three uses:
//!
//! 1. **Comparisons are Rust's own.** `<`, `==` and [`Flag::holds`] return a real `bool`, so `if`, `match` and `?` are
//!    ordinary. On a concrete machine a [`Word`] *is* a `u32`; on the symbolic machine a comparison asks a path
//!    explorer.
//! 2. **Maps work by value.** A page-table entry, a VMCS field or an atomic cannot be lent, so a [`Map`] has `get`,
//!    `set` and `update`, and never returns a reference. A [`Field`] has a key, a value and bounds, and is independent
//!    of its storage: [`Storage`] gives each field its map type on each machine.
//! 3. **Ghost state cannot influence execution.** Ghost state ([`Ghost`]) may be updated and asserted, never read. Once
//!    erased, an assertion is true.
#![no_std]
#![forbid(unsafe_code)]

mod data;
mod ghost;
mod map;
mod native;
mod word;

pub use data::{Data, Sink, Source};
pub use ghost::{Erased, Ghost, Present};
pub use map::{Field, Key, Map, Storage};
pub use native::Count;
pub use word::{Flag, Nat, Wide, Word};

use core::fmt::Debug;

/// A family of value types: the types of all values that a machine's primitives compute with.
pub trait Domain: Copy + Debug + 'static {
    /// A 32-bit machine word.
    type Word: Word;
    /// A 64-bit machine word: registers, and addresses in the hardware's width.
    type Wide: Wide<Self::Word>;
    /// A ghost counter without bounds.
    type Nat: Nat<Self::Word>;
    /// A stored truth value.
    type Flag: Flag;
    /// Identifies an instance of a map or of a shared object: nothing on the hosted machine, an address in the
    /// kernel, a name and a version on the symbolic machine. It is the only argument of every constructor.
    type Place: Copy;

    /// The value of `condition`, as one decision. Without this, the symbolic machine would fork at each of its
    /// comparisons.
    #[inline(always)]
    #[track_caller]
    fn decide(condition: impl Fn() -> bool) -> bool {
        condition()
    }
}
