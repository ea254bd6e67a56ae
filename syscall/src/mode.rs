//! What an entry may count on beside the invariant: the mode of its CPU.
use domain::Flag;
use layer::invariant::View;
use layer::machine::Spec;

/// The CPU executes a program: what every trap entry ([`system_call`](crate::entry::system_call),
/// [`page_fault`](crate::entry::page_fault), [`exception`](crate::entry::exception)) counts on.
pub fn is_user<M: Spec>(view: &View<'_, M>) -> bool {
    view.ghost.init.holds() && view.ghost.ihost.holds() && !view.ghost.ikern.holds()
}

/// The CPU executes the kernel: what every step of a kernel entry counts on.
pub fn is_kernel<M: Spec>(view: &View<'_, M>) -> bool {
    view.ghost.init.holds() && view.ghost.ihost.holds() && view.ghost.ikern.holds()
}
