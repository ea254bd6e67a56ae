//! The precondition of an entry or step, besides the invariant: the mode of its CPU.
use domain::{Flag, Map};
use layer::core::constants::{COM1_LINE, NO_CHANNEL};
use layer::core::machine::Spec;
use layer::spec::view::View;

/// The CPU executes a program: the precondition of every trap entry ([`system_call`](crate::entry::system_call),
/// [`page_fault`](crate::entry::page_fault), [`exception`](crate::entry::exception),
/// [`interrupt`](crate::entry::interrupt)).
pub fn is_user<M: Spec>(view: &View<'_, M>) -> bool {
    is_at_rest(view) && !view.ghost.ikern.holds()
}

/// The CPU executes the kernel: the precondition of every step of a kernel entry.
pub fn is_kernel<M: Spec>(view: &View<'_, M>) -> bool {
    is_at_rest(view) && view.ghost.ikern.holds()
}

/// The CPU executes a guest, whose monitor is the running thread: the precondition of a guest's exit
/// ([`exit`](crate::guest::exit)).
pub fn is_guest<M: Spec>(view: &View<'_, M>) -> bool {
    is_out_of_sections(view)
        && view.ghost.ikern.holds()
        && !view.ghost.ihost.holds()
        && view.own.vm.set_up.holds()
        && view.own.vm.owner == view.own.cur
}

/// The CPU is quiescent: between two entries, or two steps of one, and it executes no guest.
fn is_at_rest<M: Spec>(view: &View<'_, M>) -> bool {
    is_out_of_sections(view) && view.ghost.ihost.holds()
}

/// The CPU holds no channel's lock, interrupts are on, and the line of the UART, if it has one, is enabled.
fn is_out_of_sections<M: Spec>(view: &View<'_, M>) -> bool {
    view.ghost.init.holds()
        && view.ghost.section == NO_CHANNEL
        && view.own.intr_flag.holds()
        && (!view.own.serial_exists.holds() || view.own.lines.get([COM1_LINE.into()]).enabled.holds())
}
