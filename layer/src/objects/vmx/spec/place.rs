//! What contracts say of the places of a guest's values.
use crate::core::call::Arguments;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::in_kernel;
use crate::objects::vmx::Place;
use crate::spec::contract::{Cells, Region};
use crate::spec::view::View;
use domain::{Flag, Map};

use Place::{Vmcs as V, Vmx as X};

/// The address at which the guest continues.
pub(super) const EIP: Place = X(vmx_slot::RIP);

/// The value at a place.
pub fn at<M: Spec>(v: &View<'_, M>, place: Place) -> M::Wide {
    match place {
        V(field) => v.own.vmcs.get([(field as u32).into()]).value,
        X(slot) => v.own.vmx.get([slot.into()]).value,
    }
}

/// The kind of the value at a place.
pub(super) fn kind_at<M: Spec>(v: &View<'_, M>, place: Place) -> SlotKind<M> {
    match place {
        V(field) => v.ghost.vmcs_kind.get([(field as u32).into()]),
        X(slot) => v.ghost.vmx_kind.get([slot.into()]),
    }
}

/// There is an integer at the place.
pub(super) fn is_int<M: Spec>(v: &View<'_, M>, place: Place) -> bool {
    matches!(kind_at(v, place), SlotKind::Int)
}

/// There is the integer `value` at the place.
pub(super) fn is<M: Spec>(v: &View<'_, M>, place: Place, value: M::Wide) -> bool {
    at(v, place) == value && is_int(v, place)
}

/// The cells that a call may write if it writes an integer to the place.
pub fn may_write<M: Spec>(may: Cells<'_, M>, place: Place) {
    let (field, kind, key) = match place {
        V(field) => ("vmcs", "vmcs.kind", field as u32),
        X(slot) => ("vmx", "vmx.kind", slot),
    };
    may(field, Region::All, &[key.into()]);
    may(kind, Region::All, &[key.into()]);
}

/// As [`in_kernel`], after `vmx_init`.
pub(super) fn in_vm_host<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && v.own.vm.set_up.holds()
}
