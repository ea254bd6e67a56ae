//! A symbolic domain without additions: every field has a symbolic map.
use crate::branch::decide;
use crate::map::SymMap;
use crate::origin::Origin;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Domain, Field, Storage};

/// The domain of terms, for a state that needs no machine.
#[derive(Clone, Copy, Debug)]
pub struct Terms;

impl Domain for Terms {
    type Word = SymWord;
    type Wide = SymWide;
    type Nat = SymNat;
    type Flag = SymFlag;
    type Place = Origin;

    #[track_caller]
    fn decide(condition: impl Fn() -> bool) -> bool {
        decide(&condition)
    }
}

impl<F: Field<Terms>> Storage<F> for Terms {
    type Map = SymMap<Terms, F>;
    fn at(place: Origin) -> SymMap<Terms, F> {
        SymMap::unknown(place)
    }
}
