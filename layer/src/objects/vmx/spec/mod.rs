//! The specification of the virtual machine: contracts of 1, 25 to 46 and 49, with the switches between host and guest and
//! the facts beside them.
pub(crate) mod facts;
mod ownership;
mod place;
mod switch;

use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::{hk, hkp, hkpt_init, in_kernel};
use crate::objects::vmx;
use crate::objects::vmx::Place;
use crate::objects::vmx::ept;
use crate::objects::vmx::vmcs::Vmcs;
use crate::spec::contract::{Cells, Contract, Region, Transition, no_events, silent};
use crate::spec::view::View;
use domain::{Flag, Map, Wide, Word};
use place::{EIP, in_vm_host, is, is_int, kind_at};

pub use ownership::{CLAIMED, RELEASED};
pub(crate) use ownership::{vmx_claim, vmx_owner, vmx_release};
pub use place::{at, may_write};

use Place::{Vmcs as V, Vmx as X};

pub(crate) use switch::{host_in, host_out, vmx_return_from_guest, vmx_run_vm};

pub(crate) fn vmxinfo_get<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| vmx::vmxinfo_get(cpu, a.words[0]).map(Answer::Word),
        hk,
        in_kernel,
        |s| {
            let i = s.arguments.words[0];
            s.answer.word() == if i < VMXINFO_SIZE { s.before.own.vmxinfo.get([i]).value } else { 0.into() }
        },
    )
}

pub(crate) fn rdmsr<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| vmx::rdmsr(cpu, a.words[0]).map(Answer::Wide),
        hk,
        in_kernel,
        |s| matches!(s.answer, Answer::Wide(value) if *value == M::rdmsr(s.arguments.words[0])),
    )
}

pub(crate) fn wrmsr<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| vmx::wrmsr(cpu, a.words[0], a.wide).map(Answer::Word),
        hk,
        in_kernel,
        |s| matches!(s.answer, Answer::Word(word) if *word == 0),
    )
}

/// Bit `k` of a word.
fn bit<M: Spec>(word: M::Word, k: u32) -> M::Word {
    word / 2_u32.pow(k) % 2
}

/// Primitives that return a word computed from the low half of one value.
macro_rules! getters {
    ($($name:ident ($place:expr, $value:ident, $word:ident) $ensures:expr;)*) => {
        $(pub(crate) fn $name<M: Spec>() -> Contract<M> {
            silent(
                |cpu, _| vmx::$name(cpu).map(Answer::Word),
                |v, a| hkp(v, a) && is_int(v, $place),
                in_vm_host,
                |s| {
                    let ($value, $word) = (at(&s.before, $place).low(), s.answer.word());
                    $ensures
                },
            )
        })*
    };
}

const QUALIFICATION: Place = X(vmx_slot::EXIT_QUALIFICATION);

getters! {
    vmx_get_exit_reason (V(Vmcs::ExitReason), reason, word) word == reason % 0x1_0000;
    vmx_get_exit_fault_addr (V(Vmcs::GuestPhysicalAddress), address, word) word == address;
    vmx_get_exit_qualification (QUALIFICATION, qualification, word) word == qualification;
    vmx_check_pending_event (V(Vmcs::EntryIntrInfo), event, word) word <= 1 && (word == 1) == (bit::<M>(event, 31) == 1);
    vmx_check_int_shadow (V(Vmcs::GuestInterruptibility), state, word) {
        word <= 1 && (word == 1) == (bit::<M>(state, 0) == 1 || bit::<M>(state, 1) == 1)
    };
    vmx_get_io_width (QUALIFICATION, q, word) word <= 2 && (word == 2 || word == q % 8) && (word != 2 || q % 8 > 1);
    vmx_get_io_write (QUALIFICATION, q, word) word + bit::<M>(q, 3) == 1;
    vmx_get_exit_io_rep (QUALIFICATION, q, word) word == bit::<M>(q, 5);
    vmx_get_exit_io_str (QUALIFICATION, q, word) word == bit::<M>(q, 4);
    vmx_get_exit_io_port (QUALIFICATION, q, word) word == q / 0x1_0000;
}

pub(crate) fn vmx_set_intercept_intwin<M: Spec>() -> Contract<M> {
    const PLACE: Place = V(Vmcs::PriProcBasedCtls);
    Contract {
        run: |cpu, a| vmx::vmx_set_intercept_intwin(cpu, a.words[0]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkp(v, a) && is_int(v, PLACE),
        requires: in_vm_host,
        ensures: |s| {
            let controls = at(&s.before, PLACE).low();
            let (is_set, wanted) = (controls / 4 % 2 == 1, s.arguments.words[0] == 1);
            let after = match (is_set, wanted) {
                (false, true) => controls + 4,
                (true, false) => controls - 4,
                _ => controls,
            };
            is(&s.after, PLACE, after.into())
        },
        events: no_events,
        modifies: |_, may| may_write::<M>(may, PLACE),
    }
}

/// Segments have codes below this (reference, section 2).
const SEGMENTS: u32 = 10;
/// Segments with codes below this have a selector and access rights; GDTR and IDTR do not.
const FULL_SEGMENTS: u32 = 8;

/// Kernel mode with paging on, and the first argument is a segment.
fn of_segment<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hkp(v, a) && a.words[0] < SEGMENTS
}

/// A property of the segment was set to the integer `value`. `of_cs` is the property's field of CS.
fn has_property<M: Spec>(s: &Transition<'_, M>, of_cs: Vmcs, value: M::Word) -> bool {
    let k = s.arguments.words[0] + of_cs as u32;
    s.after.own.vmcs.get([k]).value == M::Wide::from(value) && matches!(s.after.ghost.vmcs_kind.get([k]), SlotKind::Int)
}

/// The cells that a call may write if it sets one property that only full segments have and one that all
/// segments have.
fn properties<M: Spec>(s: &Transition<'_, M>, may: Cells<'_, M>, of_full: Vmcs, of_all: Vmcs) {
    let seg = s.arguments.words[0];
    if seg < FULL_SEGMENTS {
        may("vmcs", Region::All, &[seg + of_full as u32]);
        may("vmcs.kind", Region::All, &[seg + of_full as u32]);
    }
    may("vmcs", Region::All, &[seg + of_all as u32]);
    may("vmcs.kind", Region::All, &[seg + of_all as u32]);
}

pub(crate) fn vmx_set_desc1<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| vmx::vmx_set_desc1(cpu, a.words[0], a.words[1], a.words[2]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: of_segment,
        requires: |v, a| in_kernel(v, a) && of_segment(v, a),
        ensures: |s| {
            let [seg, sel, base, _] = s.arguments.words;
            (seg >= FULL_SEGMENTS || has_property(s, Vmcs::GuestCsSelector, sel))
                && has_property(s, Vmcs::GuestCsBase, base)
        },
        events: no_events,
        modifies: |s, may| properties(s, may, Vmcs::GuestCsSelector, Vmcs::GuestCsBase),
    }
}

pub(crate) fn vmx_set_desc2<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| vmx::vmx_set_desc2(cpu, a.words[0], a.words[1], a.words[2]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: of_segment,
        requires: |v, a| in_kernel(v, a) && of_segment(v, a),
        ensures: |s| {
            let [seg, lim, ar, _] = s.arguments.words;
            (seg >= FULL_SEGMENTS || has_property(s, Vmcs::GuestCsAccess, ar))
                && has_property(s, Vmcs::GuestCsLimit, lim)
        },
        events: no_events,
        modifies: |s, may| properties(s, may, Vmcs::GuestCsAccess, Vmcs::GuestCsLimit),
    }
}

const EVENT: Place = V(Vmcs::EntryIntrInfo);

/// An event is pending for the guest.
fn is_pending<M: Spec>(v: &View<'_, M>) -> bool {
    at(v, EVENT).low() >= 0x8000_0000
}

pub(crate) fn vmx_inject_event<M: Spec>() -> Contract<M> {
    const ERROR: Place = V(Vmcs::EntryExceptionError);
    Contract {
        run: |cpu, a| vmx::vmx_inject_event(cpu, a.words[0], a.words[1], a.words[2], a.words[3]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkp(v, a) && is_int(v, EVENT),
        requires: in_vm_host,
        ensures: |s| {
            let [kind, vector, errcode, ev] = s.arguments.words;
            // Bit 31: there is an event; bit 11: it has an error code.
            let flags = M::Word::from(if ev == 1 { 0x8000_0800 } else { 0x8000_0000 });
            is_pending(&s.before)
                || (is(&s.after, EVENT, kind.or(vector).or(flags).into())
                    && (ev != 1 || is(&s.after, ERROR, errcode.into())))
        },
        events: no_events,
        modifies: |s, may| {
            if !is_pending(&s.before) {
                may_write::<M>(may, EVENT);
                if s.arguments.words[3] == 1 {
                    may_write::<M>(may, ERROR);
                }
            }
        },
    }
}

const TSC_OFFSET: Place = V(Vmcs::TscOffset);

pub(crate) fn vmx_set_tsc_offset<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| vmx::vmx_set_tsc_offset(cpu, a.wide).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: hkp,
        requires: in_kernel,
        ensures: |s| is(&s.after, TSC_OFFSET, s.arguments.wide),
        events: no_events,
        modifies: |_, may| may_write::<M>(may, TSC_OFFSET),
    }
}

pub(crate) fn vmx_get_tsc_offset<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| vmx::vmx_get_tsc_offset(cpu).map(Answer::Wide),
        |v, a| hkp(v, a) && is_int(v, TSC_OFFSET),
        in_vm_host,
        |s| matches!(s.answer, Answer::Wide(offset) if *offset == at(&s.before, TSC_OFFSET)),
    )
}

/// The places of the guest's registers, by code (reference, section 2).
pub const REGISTERS: [Place; 14] = [
    X(0),
    X(2),
    X(4),
    X(6),
    X(8),
    X(10),
    X(12),
    V(Vmcs::GuestRsp),
    X(14),
    V(Vmcs::GuestRflags),
    V(Vmcs::GuestCr0),
    X(16),
    V(Vmcs::GuestCr3),
    V(Vmcs::GuestCr4),
];

/// The place of the guest register with code `r`.
pub fn register<M: Spec>(r: M::Word) -> Option<Place> {
    (0..).zip(REGISTERS).find(|&(code, _)| r == code).map(|(_, place)| place)
}

/// `holds` is true of the place of the guest register with code `r`, and there is such a register.
fn of_register<M: Spec>(r: M::Word, holds: impl Fn(Place) -> bool) -> bool {
    register::<M>(r).is_some_and(holds)
}

pub(crate) fn vmx_get_reg<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| vmx::vmx_get_reg(cpu, a.words[0]).map(Answer::Word),
        |v, a| hkp(v, a) && of_register::<M>(a.words[0], |place| is_int(v, place)),
        |v, a| in_vm_host(v, a) && a.words[0] < 14,
        |s| of_register::<M>(s.arguments.words[0], |place| s.answer.word() == at(&s.before, place).low()),
    )
}

pub(crate) fn vmx_set_reg<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| vmx::vmx_set_reg(cpu, a.words[0], a.words[1]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkp(v, a) && a.words[0] < 14,
        requires: |v, a| in_kernel(v, a) && a.words[0] < 14,
        ensures: |s| of_register::<M>(s.arguments.words[0], |place| is(&s.after, place, s.arguments.words[1].into())),
        events: no_events,
        modifies: |s, may| {
            if let Some(place) = register::<M>(s.arguments.words[0]) {
                may_write::<M>(may, place);
            }
        },
    }
}

const LENGTH: Place = V(Vmcs::ExitInstructionLength);

/// The address of the guest's next instruction fits 32 bits.
fn goes_on<M: Spec>(v: &View<'_, M>) -> bool {
    match (at(v, EIP).narrow(), at(v, LENGTH).narrow()) {
        (Some(eip), Some(length)) => M::Nat::from(eip) + M::Nat::from(length) <= M::Nat::from(u32::MAX.into()),
        _ => false,
    }
}

pub(crate) fn vmx_get_next_eip<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| vmx::vmx_get_next_eip(cpu).map(Answer::Word),
        |v, a| hkp(v, a) && is_int(v, EIP) && is_int(v, LENGTH) && goes_on(v),
        |v, a| in_vm_host(v, a) && goes_on(v),
        |s| {
            let sum = [EIP, LENGTH].map(|place| M::Nat::from(at(&s.before, place).low()));
            M::Nat::from(s.answer.word()) == sum[0] + sum[1]
        },
    )
}

pub(crate) fn vmx_next_fits<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| vmx::vmx_next_fits(cpu).map(Answer::Word),
        |v, a| hkp(v, a) && is_int(v, EIP) && is_int(v, LENGTH),
        in_vm_host,
        |s| s.answer.word() <= 1 && (s.answer.word() == 1) == goes_on(&s.before),
    )
}

/// The key of the nested entry of a guest-physical address: a table maps 2 MiB, and an entry 4 KiB.
pub fn nested<M: Spec>(gpa: M::Word) -> [M::Word; 2] {
    [gpa / 0x20_0000, gpa / 4096 % 512]
}

/// The arguments are two page-aligned addresses and a memory type.
fn is_mapping<M: Spec>(a: &Arguments<M>) -> bool {
    let [gpa, hpa, memtype, _] = a.words;
    gpa % PAGE_SIZE == 0 && hpa % PAGE_SIZE == 0 && memtype < 8
}

pub(crate) fn vmx_set_mmap<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| ept::vmx_set_mmap(cpu, a.words[0], a.words[1], a.words[2]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [directory, _] = nested::<M>(a.words[0]);
            hkp(v, a) && is_mapping(a) && v.ghost.ept_dirs.get([directory]).defined.holds()
        },
        requires: |v, a| in_vm_host(v, a) && is_mapping(a),
        ensures: |s| {
            let [gpa, hpa, memtype, _] = s.arguments.words;
            let (mapped, key) = (hpa + memtype * 8 + 0x47, nested::<M>(gpa));
            matches!(s.answer, Answer::Word(word) if *word == 0)
                && s.after.own.ept.get(key).value == mapped
                && s.after.ghost.ept_defined.get(key).defined.holds()
                && s.after.ghost.guest_frames.get([hpa / PAGE_SIZE]).defined.holds()
                // The entry's address is the page's: the low 12 bits do not belong to it (7.3).
                && mapped - mapped % PAGE_SIZE == hpa
        },
        events: no_events,
        modifies: |s, may| {
            let key = nested::<M>(s.arguments.words[0]);
            may("ept", Region::All, &key);
            may("ept.defined", Region::All, &key);
            may("guest.frames", Region::All, &[s.arguments.words[1] / PAGE_SIZE]);
        },
    }
}

/// What `vmx_init` writes to a field of the control structure.
#[derive(Clone, Copy)]
enum Default {
    /// This number.
    Is(u64),
    /// The capability word with this index.
    Info(u32),
    /// The bitwise or of the capability words with these indices.
    Either(u32, u32),
    /// A register of the host, as the machine reports it (P43).
    Host,
    /// The address of an object of the host, as the machine reports it.
    Address,
}

/// The fields of the control structure that `vmx_init` writes (reference, A.2).
const FIELDS: [(Vmcs, Default); 58] = [
    // Controls.
    (Vmcs::PinBasedCtls, Default::Info(2)),
    (Vmcs::PriProcBasedCtls, Default::Info(3)),
    (Vmcs::SecProcBasedCtls, Default::Info(4)),
    (Vmcs::ExitCtls, Default::Info(5)),
    (Vmcs::EntryCtls, Default::Info(6)),
    // Host.
    (Vmcs::HostRip, Default::Address),
    (Vmcs::HostEsSelector, Default::Host),
    (Vmcs::HostCsSelector, Default::Host),
    (Vmcs::HostSsSelector, Default::Host),
    (Vmcs::HostDsSelector, Default::Host),
    (Vmcs::HostFsSelector, Default::Host),
    (Vmcs::HostGsSelector, Default::Host),
    (Vmcs::HostTrSelector, Default::Host),
    (Vmcs::HostFsBase, Default::Host),
    (Vmcs::HostGsBase, Default::Host),
    (Vmcs::HostTrBase, Default::Address),
    (Vmcs::HostGdtrBase, Default::Address),
    (Vmcs::HostIdtrBase, Default::Address),
    (Vmcs::HostCr0, Default::Host),
    (Vmcs::HostCr3, Default::Host),
    (Vmcs::HostCr4, Default::Host),
    (Vmcs::HostEfer, Default::Host),
    (Vmcs::HostPat, Default::Host),
    (Vmcs::HostSysenterCs, Default::Host),
    (Vmcs::HostSysenterEsp, Default::Host),
    (Vmcs::HostSysenterEip, Default::Host),
    (Vmcs::HostPerfGlobalCtrl, Default::Host),
    // Guest.
    (Vmcs::GuestCr0, Default::Is(0x6000_0030)),
    (Vmcs::GuestCr3, Default::Is(0)),
    (Vmcs::GuestCr4, Default::Is(0x2000)),
    (Vmcs::GuestDr7, Default::Is(0x400)),
    (Vmcs::GuestPat, Default::Is(0x0007_0406_0007_0406)),
    (Vmcs::GuestSysenterCs, Default::Is(0)),
    (Vmcs::GuestSysenterEsp, Default::Is(0)),
    (Vmcs::GuestSysenterEip, Default::Is(0)),
    (Vmcs::GuestDebugctl, Default::Is(0)),
    (Vmcs::GuestActivity, Default::Is(0)),
    (Vmcs::GuestInterruptibility, Default::Is(0)),
    (Vmcs::GuestPendingDebug, Default::Is(0)),
    (Vmcs::EntryIntrInfo, Default::Is(0)),
    // Other.
    (Vmcs::Eptp, Default::Address),
    (Vmcs::Vpid, Default::Is(1)),
    (Vmcs::MsrBitmap, Default::Address),
    (Vmcs::IoBitmapA, Default::Address),
    (Vmcs::IoBitmapB, Default::Address),
    (Vmcs::LinkPointer, Default::Is(0xFFFF_FFFF_FFFF_FFFF)),
    (Vmcs::Cr0Mask, Default::Either(7, 9)),
    (Vmcs::Cr0Shadow, Default::Info(7)),
    (Vmcs::Cr4Mask, Default::Either(11, 13)),
    (Vmcs::Cr4Shadow, Default::Info(11)),
    // What else the primitives 27 to 45 can read (P40).
    (Vmcs::TscOffset, Default::Is(0)),
    (Vmcs::ExitReason, Default::Is(0)),
    (Vmcs::ExitInstructionLength, Default::Is(0)),
    (Vmcs::ExitQualification, Default::Is(0)),
    (Vmcs::GuestPhysicalAddress, Default::Is(0)),
    (Vmcs::GuestRsp, Default::Is(0)),
    (Vmcs::GuestRip, Default::Is(0)),
    (Vmcs::GuestRflags, Default::Is(0)),
];

/// The slots of the VMX structure that `vmx_init` writes, with their values (reference, A.2 and P40).
const DEFAULTS: [(u32, u64); 16] = [
    (0, 0),
    (2, 0),
    (4, 0),
    (6, 0),
    (8, 0),
    (10, 0),
    (12, 0),
    (14, 0xFFF0),
    (16, 0),
    (17, 0),
    (18, 0),
    (19, 0),
    (20, 0),
    (21, 0xFFFF_0FF0),
    (26, 1),
    (28, 0),
];

/// The virtual machine is as `vmx_init` makes it.
fn is_initialised<M: Spec>(s: &Transition<'_, M>) -> bool {
    let (v, [x, y]) = (&s.after, s.any);
    let info = |i: u32| s.before.own.vmxinfo.get([i.into()]).value;
    FIELDS.iter().all(|&(field, default)| {
        let host = || M::vmcs_host((field as u32).into());
        match default {
            Default::Is(value) => is(v, V(field), M::Wide::constant(value)),
            Default::Info(i) => is(v, V(field), info(i).into()),
            Default::Either(i, j) => is(v, V(field), info(i).or(info(j)).into()),
            Default::Host => is(v, V(field), host()),
            Default::Address => at(v, V(field)) == host() && matches!(kind_at(v, V(field)), SlotKind::Ptr),
        }
    }) && DEFAULTS.iter().all(|&(slot, value)| is(v, X(slot), M::Wide::constant(value)))
        && v.own.vm.set_up.holds()
        && v.own.vm.revision == 0
        && (x >= EPT_DIRS
            || (v.ghost.ept_dirs.get([x]).defined.holds()
                && (y >= EPT_ENTRIES
                    || (!v.ghost.ept_defined.get([x, y]).defined.holds() && v.own.ept.get([x, y]).value == 0))))
}

pub(crate) fn vmx_init<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| vmx::vmx_init(cpu, a.words[0]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: hkpt_init,
        requires: in_kernel,
        ensures: is_initialised,
        events: no_events,
        modifies: |_, may| {
            for name in ["vmx.set_up", "vmcs.revid", "ept", "ept.defined", "eptdir", "guest.frames"] {
                may(name, Region::All, &[]);
            }
            for (field, _) in FIELDS {
                may_write::<M>(may, V(field));
            }
            for (slot, _) in DEFAULTS {
                may_write::<M>(may, X(slot));
            }
        },
    }
}
