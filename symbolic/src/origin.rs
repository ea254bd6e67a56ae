//! Versions of unknown state, and the identities of maps.
use smt::term::{Name, Term};

/// The version of an object; the names of its unknown maps contain it.
///
/// The code under proof starts with version 0. Interference and the call rule make new versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The version of the object.
    pub version: u32,
}

impl Origin {
    /// The version with which the code under proof starts.
    pub const START: Origin = Origin { version: 0 };

    /// The name of the unknown map of the field `field`.
    pub fn name(self, field: &str) -> String {
        if self.version == 0 { field.to_string() } else { format!("{field}#{}", self.version) }
    }
}

/// Equal identities mean equal values, as long as one of the values exists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Identity {
    /// An unknown map.
    Unknown(Name),
    /// A map with writes, identified by the address of its last write.
    Written(usize),
    /// A value in no map.
    Value(Term),
}
