//! The invariant set that a proof assumes.
use layer::spec::fact::{Class, Fact};

/// The invariant set that a proof assumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvariantSet {
    /// H and L only, as in the reference. The call may get stuck.
    High,
    /// H, L and the derived invariants D.
    Derived,
    /// H, L and D, and of the first state also E. E need not hold between two primitives.
    Entry,
}

impl InvariantSet {
    /// A description of the invariant set.
    pub fn word(self) -> &'static str {
        match self {
            InvariantSet::High => "H and L",
            InvariantSet::Derived => "H, L and D",
            InvariantSet::Entry => "H, L, D and E",
        }
    }

    /// The last class of facts in the set.
    pub(crate) fn most(self) -> Class {
        match self {
            InvariantSet::High => Class::Low,
            InvariantSet::Derived => Class::Derived,
            InvariantSet::Entry => Class::Entry,
        }
    }

    pub(crate) fn includes<M: layer::core::machine::Spec>(self, fact: &Fact<M>) -> bool {
        fact.class <= self.most()
    }

    /// The set that also holds after a primitive.
    pub(crate) fn between_primitives(self) -> InvariantSet {
        if self == InvariantSet::Entry { InvariantSet::Derived } else { self }
    }
}
