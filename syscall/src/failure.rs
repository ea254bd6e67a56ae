//! Why a system call has no result.
use abi::Error;
use layer::core::stuck::Stuck;

/// Why a system call has no result. A call returns it with `?`, wherever it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The caller asked for something that it cannot have: it gets the error number and continues.
    Refused(Error),
    /// A primitive has no meaning in this state. The kernel is to blame; the proofs exclude it.
    Stuck(Stuck),
}

impl From<Error> for Failure {
    #[inline(always)]
    fn from(error: Error) -> Self {
        Failure::Refused(error)
    }
}

impl From<Stuck> for Failure {
    #[inline(always)]
    fn from(stuck: Stuck) -> Self {
        Failure::Stuck(stuck)
    }
}
