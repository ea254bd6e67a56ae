//! Ghost state, erased.
use domain::{Domain, Field, Map};
use layer::core::log::{Event, Log};
use layer::core::machine::Machine;

/// The erased storage: that of a field of ghost state. It has no bytes and keeps nothing.
///
/// Ghost state is erased in the kernel: the closures that update or assert it are never called ([`domain::Erased`]).
#[derive(Clone, Copy, Debug)]
pub struct ErasedMap;

impl<D: Domain, F: Field<D>> Map<D, F> for ErasedMap {
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
    fn copy_within(&mut self, _: D::Word, _: D::Word, _: D::Word)
    where
        F: Field<D, Key = [D::Word; 2]>,
    {
    }
    fn first(&self, _: D::Word, _: D::Word, _: fn(F::Val) -> bool) -> Option<D::Word>
    where
        F: Field<D, Key = [D::Word; 1]>,
    {
        None
    }
    fn first_of(&self, _: D::Word, _: D::Word, _: D::Word, _: fn(F::Val) -> bool) -> Option<D::Word>
    where
        F: Field<D, Key = [D::Word; 2]>,
    {
        None
    }
}

const _: () = assert!(size_of::<ErasedMap>() == 0);

/// The log, compiled out.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl<M: Machine> Log<M> for NoLog {
    fn push(&mut self, _: M::Word, _: Event<M>) {}
}

/// Gives the ghost fields of a machine their storage.
#[macro_export]
macro_rules! erased_fields {
    ($machine:ty) => {
        $crate::erased_fields!(
            $machine,
            Owners,
            FrameUses,
            ReverseMaps,
            ReverseEntries,
            DirectoriesDefined,
            PageTableGhosts,
            IdentityTables,
            DefinedMemory,
            UserContextKinds,
            VmcsKinds,
            VmxKinds,
            EptDirectories,
            EptDefined,
            GuestFrames,
            Charges,
            Seats,
            ThreadGhosts,
            SharedMemory,
            ChannelLocks,
            DefinedMail,
            LockStates
        );
    };
    ($machine:ty, $($field:ident),*) => {
        $(impl ::domain::Storage<::layer::core::fields::$field> for $machine {
            type Map = $crate::storage::ErasedMap;
            fn at(_: <$machine as ::domain::Domain>::Place) -> Self::Map {
                $crate::storage::ErasedMap
            }
        })*
    };
}
