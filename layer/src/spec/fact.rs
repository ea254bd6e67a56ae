//! A fact: one numbered clause of the invariant.
//!
//! A [`Fact`] is universally quantified over its keys. The runtime checker evaluates it for concrete keys. The prover
//! assumes it before a call for the keys that the run accesses, and proves it afterwards for a fresh key. The facts
//! themselves are in the files beside the code: `objects/<object>/spec.rs`.
use crate::core::keys::Keys;
use crate::core::machine::Spec;
use crate::spec::view::View;

/// The part of the invariant to which a fact belongs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// H1 to H20, the reference's record.
    High,
    /// L1 to L7, the typing of stored machine values.
    Low,
    /// D1 and following: further true facts, derived or needed to prove that no call is stuck.
    Derived,
    /// E1 and following: facts that hold at every entry to the kernel and every exit from it. A single primitive
    /// may break them.
    Entry,
}

/// One quantified fact.
pub struct Fact<M: Spec> {
    /// Its number, such as "H6.4" or "D9".
    pub number: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// The keys at which it is instantiated.
    pub keys: Keys,
    /// Whether it holds for these keys.
    pub holds: fn(&View<'_, M>, &[M::Word]) -> bool,
}

impl<M: Spec> Clone for Fact<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Spec> Copy for Fact<M> {}
