//! Values from outside that have not been checked.
use abi::arguments::ARGUMENTS;
use domain::{Wide, Word};
use layer::core::constants::{ADR_HIGH, ADR_LOW, PAGE_SIZE};
use layer::core::machine::Machine;

/// A value that came from outside: from a program's registers, or as an answer of the machine.
///
/// Code can only use it through one of its checks.
#[derive(Clone, Copy, Debug)]
pub struct Unchecked<W>(W);

impl<W> Unchecked<W> {
    /// Wraps an unchecked value.
    pub fn new(value: W) -> Self {
        Unchecked(value)
    }

    /// The value, for uses in which every value is valid.
    pub fn any(self) -> W {
        self.0
    }
}

impl<W: Word> Unchecked<W> {
    /// Whether it is `value`.
    #[track_caller]
    pub fn is(self, value: u32) -> bool {
        self.0 == value
    }

    /// The value, if it is below `bound`.
    #[track_caller]
    pub fn below(self, bound: u32) -> Option<W> {
        (self.0 < bound).then_some(self.0)
    }

    /// The minimum of the value and `limit`.
    #[track_caller]
    pub fn at_most(self, limit: W) -> W {
        self.0.min(limit)
    }
}

/// An address of the user window.
pub struct Address<M: Machine>(M::Word);

impl<M: Machine> Address<M> {
    /// The address, if it lies in the user window.
    #[track_caller]
    pub fn in_window(address: Unchecked<M::Word>) -> Option<Self> {
        let va = address.any();
        (va >= ADR_LOW && va < ADR_HIGH).then_some(Address(va))
    }

    /// The address, if it has 32 bits and lies in the user window.
    #[track_caller]
    pub fn in_window_wide(address: Unchecked<M::Wide>) -> Option<Self> {
        Self::in_window(Unchecked(address.any().narrow()?))
    }

    /// The address of a program's arguments.
    pub fn of_arguments() -> Self {
        const { assert!(ADR_LOW <= ARGUMENTS && ARGUMENTS < ADR_HIGH) };
        Address(ARGUMENTS.into())
    }

    /// The word.
    pub fn word(&self) -> M::Word {
        self.0
    }

    /// Its offset in its page, in bytes.
    #[track_caller]
    pub fn offset(&self) -> M::Word {
        self.0 % PAGE_SIZE
    }
}
