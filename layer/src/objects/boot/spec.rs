//! The specification of boot: the contract of 9 (`sched_init`).
use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::machine::Spec;
use crate::core::state::Lapic;
use crate::objects::mode::spec::hk;
use crate::objects::page_table::spec::is_user_directory;
use crate::spec::contract::{Contract, Region, no_events};
use crate::spec::view::View;
use domain::{Flag, Map};

/// The CPU is not set up, and the machine's description is usable.
fn is_before_init<M: Spec>(v: &View<'_, M>) -> bool {
    !v.ghost.init.holds()
        && !v.ghost.in_intr.holds()
        && v.own.ioapic.max_intr < IOAPIC_LINES
        && v.own.ioapic.irqs == v.own.ioapic.max_intr + 1
        && v.own.ioapic.enables == v.own.ioapic.max_intr + 1
        && (!v.own.serial_exists.holds() || v.own.ioapic.max_intr >= COM1_LINE)
        && v.boot.nps >= KERN_LOW
        && v.boot.nps <= MAX_PAGE
        && v.boot.norm <= MAX_PAGE
}

pub(crate) fn sched_init<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::sched_init(cpu, a.words[0]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hk(v, a) && v.ghost.ipt.holds() && !v.ghost.pg.holds() && is_before_init(v),
        requires: |v, a| hk(v, a) && is_before_init(v),
        ensures: |s| {
            let (v, [x, y]) = (&s.after, s.any);
            let share = v.boot.norm / 8;
            v.ghost.pg.holds()
                && v.ghost.init.holds()
                && v.ghost.pt == 0
                && v.own.cur == v.own.cpu + 1
                && v.own.nps == v.boot.nps
                && v.own.ioapic.init.holds()
                && is_set_up(&v.own.lapic, &s.before.own.lapic)
                && (x >= NUM_ID || {
                    let container = v.own.ac.get([x]);
                    let (quota, usage, nchildren): (_, _, M::Word) = if x == 0 {
                        (v.boot.norm, share * 8, 8.into())
                    } else if x <= 8 {
                        (share, 0.into(), 0.into())
                    } else {
                        (0.into(), 0.into(), 0.into())
                    };
                    container.used.holds() == (x <= 8)
                        && container.quota == quota
                        && container.usage == usage
                        && container.parent == 0
                        && container.nchildren == nchildren
                })
                && (x >= VMXINFO_SIZE || v.own.vmxinfo.get([x]).value == M::real_vmxinfo(x))
                && (x > v.own.ioapic.max_intr || {
                    let line = v.own.lines.get([x]);
                    line.irq == x + 32 && line.enabled.holds() == (x == COM1_LINE && v.own.serial_exists.holds())
                })
                && (x >= MAX_PAGE || {
                    let lat = v.ghost.lat.get([x]);
                    lat.valid.holds() == (x < v.own.nps) && lat.len == 0
                })
                && (x >= LOCK_RANGE || matches!(v.ghost.lock.get([x]), LockState::Free))
                && (x >= NUM_PROC || y >= NUM_PROC || {
                    let offer = v.ghost.smspool.get([x, y]);
                    offer.status == 0 && offer.seen.holds() && offer.address == 0
                })
                && (x >= NUM_PROC
                    || y >= M::Geometry::DIRS
                    || match v.own.dirs.get([x, y]) {
                        Pde::Id => x == 0 || !is_user_directory::<M>(y),
                        Pde::UnPresent => x != 0 && is_user_directory::<M>(y),
                        Pde::Table { .. } => false,
                    })
        },
        events: no_events,
        modifies: |_, may| {
            for scalar in ["pg", "init", "PT", "cid", "nps", "ioapic.init"].iter().chain(LAPIC).copied() {
                may(scalar, Region::All, &[]);
            }
            for field in
                ["vmxinfo", "AC", "AC.charged", "ptpool", "ptpool.defined", "idpde", "LAT", "ioapic.lines", "smspool"]
            {
                may(field, Region::All, &[]);
            }
        },
    }
}

/// The fields of the local APIC that `sched_init` may change.
const LAPIC: &[&str] = &[
    "lapic.esr",
    "lapic.eoi",
    "lapic.enable",
    "lapic.lint0_mask",
    "lapic.pcint_mask",
    "lapic.ldr",
    "lapic.esr_clr_pen",
    "lapic.tpr",
];

/// The local APIC is as section 6.2 of the reference requires, with the values of `described` where machines differ
/// (P43).
#[track_caller]
fn is_set_up<M: Spec>(lapic: &Lapic<M>, described: &Lapic<M>) -> bool {
    lapic.esr == 0
        && !lapic.eoi.holds()
        && lapic.max_lvt == described.max_lvt
        && lapic.enable.holds()
        && lapic.spurious == described.spurious
        && lapic.lint0_mask.holds()
        && lapic.lint1_mask.holds() == described.lint1_mask.holds()
        && lapic.pcint_mask.holds()
        && lapic.ldr == 0
        && lapic.error_irq == described.error_irq
        && !lapic.esr_clr_pen.holds()
        && lapic.tpr == 0
}
