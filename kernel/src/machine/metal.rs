//! The type of the kernel's machine, and the token for saved registers.
use super::platform::Place;
use crate::cpu::context::UserContext;
use domain::{Count, Domain};
use layer::core::geometry::{Paged, X64};
use layer::core::state::Cpu;

/// The kernel's machine.
#[derive(Clone, Copy, Debug)]
pub struct Metal;

impl Domain for Metal {
    type Word = u32;
    type Wide = u64;
    type Nat = Count;
    type Flag = bool;
    type Place = Place;
}

/// The part of the layer's state that a CPU owns, and the shared objects.
pub type Layer = Cpu<'static, Metal>;

impl Paged for Metal {
    type Geometry = X64;
}

/// A token that the trap stub has saved the program's registers in the user context of the running thread.
#[derive(Clone, Copy, Debug)]
pub struct Saved(());

impl Saved {
    /// The token for the registers of the program that entered the kernel on this CPU, which are saved at `context`.
    ///
    /// # Panics
    /// With debug assertions, if `context` is not where the layer looks for it: a bug.
    #[inline(always)]
    pub(super) fn by_stub(context: *const UserContext, layer: &Cpu<'_, Metal>) -> Saved {
        debug_assert_eq!(
            context,
            layer.own.uctxt.0.row(layer.own.cur).cast_const(),
            "the stubs save where the layer looks"
        );
        Saved(())
    }
}
