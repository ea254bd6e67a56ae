//! Ghost state, erased.
use domain::{Domain, Field, Map};

/// The home of a field of ghost state: it has no bytes and keeps nothing.
///
/// Ghost state is erased in the kernel: what changes or asks it is a closure that is never called
/// ([`domain::Erased`]).
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl<D: Domain, F: Field<D>> Map<D, F> for Nowhere {
    fn get(&self, _: F::Key) -> F::Val {
        unreachable!("{} is ghost state, which nobody asks for where it is erased", F::NAME)
    }
    fn set(&mut self, _: F::Key, _: F::Val) {}
    fn fill(&mut self, _: &[D::Word], _: F::Val) {}
    fn define(&mut self, _: impl Fn(F::Key) -> F::Val + Send + Sync + 'static) {}
    fn copy_first<S, M>(&mut self, _: D::Word, _: D::Word, _: &M, _: D::Word)
    where
        M: Map<D, S> + 'static,
        S: Field<D, Key = [D::Word; 2], Val = F::Val>,
        F: Field<D, Key = [D::Word; 2]>,
    {
    }
    fn first(&self, _: D::Word, _: D::Word, _: fn(F::Val) -> bool) -> Option<D::Word>
    where
        F: Field<D, Key = [D::Word; 1]>,
    {
        None
    }
}

const _: () = assert!(size_of::<Nowhere>() == 0);
