//! The trace of a path: what is needed to walk it again.
use std::fmt;
use std::panic::Location;

/// The branches of a path outside of called functions, and the functions that it calls.
#[derive(Clone, Default)]
pub struct Trace {
    /// The branches: where, and which side.
    pub(crate) sides: Vec<(&'static Location<'static>, bool)>,
    /// The functions that the call rule replaced.
    pub called: Vec<&'static str>,
}

impl fmt::Debug for Trace {
    /// The walk of a failing path counts only these branches, because they belong to the failure's
    /// path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} branches, by the contracts of {:?}", self.sides.len(), self.called)
    }
}
