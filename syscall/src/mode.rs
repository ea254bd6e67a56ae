//! What an entry may count on beside the invariant: the mode of its CPU.
use domain::{Flag, Map};
use layer::constants::{COM1_LINE, NO_CHANNEL};
use layer::invariant::View;
use layer::machine::Spec;

/// The CPU executes a program: what every trap entry ([`system_call`](crate::entry::system_call),
/// [`page_fault`](crate::entry::page_fault), [`exception`](crate::entry::exception),
/// [`interrupt`](crate::entry::interrupt)) counts on.
pub fn is_user<M: Spec>(view: &View<'_, M>) -> bool {
    is_at_rest(view) && !view.ghost.ikern.holds()
}

/// The CPU executes the kernel: what every step of a kernel entry counts on.
pub fn is_kernel<M: Spec>(view: &View<'_, M>) -> bool {
    is_at_rest(view) && view.ghost.ikern.holds()
}

/// Between two entries, or two steps of one: the CPU holds no channel's lock, interrupts are on, and the line of the UART,
/// if it has one, is open.
fn is_at_rest<M: Spec>(view: &View<'_, M>) -> bool {
    view.ghost.init.holds()
        && view.ghost.ihost.holds()
        && view.ghost.section == NO_CHANNEL
        && view.own.intr_flag.holds()
        && (!view.own.serial_exists.holds() || view.own.lines.get([COM1_LINE.into()]).enabled.holds())
}
