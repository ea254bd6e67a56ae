//! Iteration over all maps of a machine's state.
use super::snapshot::Snapshot;
use crate::machine::Sim;
use crate::machine::sparse::Sparse;
use domain::Field;
use layer::spec::view::View;

/// A visitor that reads maps.
pub trait Look<'a> {
    /// Visits the map of one field.
    fn map<F: Field<Sim>>(&mut self, map: &'a Sparse<F>);
}

/// A visitor that changes maps.
pub trait Change {
    /// Visits the map of one field.
    fn map<F: Field<Sim>>(&mut self, map: &mut Sparse<F>);
}

macro_rules! each_map {
    ([$($borrow:tt)*] $state:ident, $visit:ident) => {
        each_map!(@ [$($borrow)*] $state, $visit,
            (own.ac) (at.frames) (at.owner.0.owners) (own.ghost.0.pperm) (own.ghost.0.lat) (own.ghost.0.lat_entry)
            (own.dirs) (own.ghost.0.dirs_defined) (own.tables) (own.ghost.0.tables) (own.ghost.0.idpde) (own.hp)
            (own.ghost.0.hp_defined) (own.kctxt) (own.proc) (own.uctxt) (own.ghost.0.uctxt_kind) (own.ghost.0.charged) (own.ghost.0.seats)
            (threads.next) (threads.tcb) (own.vmxinfo) (own.vmcs) (own.ghost.0.vmcs_kind) (own.vmx)
            (own.ghost.0.vmx_kind) (own.ghost.0.ept_dirs) (own.ept) (own.ghost.0.ept_defined) (own.ghost.0.guest_frames) (own.lines) (own.ghost.0.smspool)
            (own.ghost.0.lock) (channels.pool) (channels.ghost.0.locks) (channels.mailbox) (channels.ghost.0.defined)
            (own.rx_buf) (own.cons_buf))
    };
    (@ $borrow:tt $state:ident, $visit:ident, $($path:tt)*) => { $(each_map!(# $borrow $state, $visit, $path);)* };
    (# [$($borrow:tt)*] $state:ident, $visit:ident, ($($path:tt)*)) => { $visit.map($($borrow)* $state.$($path)*); };
}

/// Visits every map of a state with `look`.
pub fn look<'a>(view: &View<'a, Sim>, look: &mut impl Look<'a>) {
    each_map!([&] view, look);
}

/// Visits every map of a state with `change`.
pub fn change(state: &mut Snapshot, change: &mut impl Change) {
    each_map!([&mut] state, change);
}
