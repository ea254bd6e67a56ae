//! The specification of the memory accessors: their contracts.
use crate::core::call::{Access, Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::in_program;
use crate::objects::page_table::spec::{pdx, ptx};
use crate::objects::vmx::spec::nested;
use crate::spec::contract::{Contract, Region, Transition, no_events, silent};
use crate::spec::view::View;
use domain::{Flag, Map, Wide};

/// Frame, permission and offset of the access in the running program's page map, if the address is mapped.
fn target<M: Spec>(s: &Transition<'_, M>) -> Option<(M::Word, M::Word, M::Word)> {
    let a = s.arguments.wide.narrow()?;
    let Pde::Table { frame } = s.before.own.dirs.get([s.before.own.cur, pdx::<M>(a)]) else { return None };
    match s.before.own.tables.get([frame, ptx::<M>(a)]) {
        Pte::Valid { page, perm } => Some((page, perm, a % PAGE_SIZE)),
        Pte::UnPresent => None,
    }
}

/// The access is aligned and stays in its page.
fn is_aligned<M: Spec>(a: &Arguments<M>) -> bool {
    let size = a.chunk as u32;
    match a.wide.narrow() {
        Some(at) => at % PAGE_SIZE <= PAGE_SIZE - size && at % PAGE_SIZE % size == 0,
        None => true,
    }
}

/// The CPU executes a program, and the access is aligned.
fn in_aligned_program<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_program(v, a) && is_aligned(a)
}

/// User mode, on the running thread's page map, and the access is aligned.
fn on_my_map<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let g = v.ghost;
    g.ihost.holds() && g.pg.holds() && !g.ikern.holds() && g.pt == v.own.cur && is_aligned(a)
}

/// The access faulted: `ti` holds the address and the instruction.
fn faulted<M: Spec>(s: &Transition<'_, M>) -> bool {
    s.after.own.ti.addr == s.arguments.wide && s.after.own.ti.ra == s.arguments.place
}

pub(crate) fn exec_load<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::exec_load(cpu, a.chunk, a.wide, a.place).map(Answer::Loaded),
        assumes: |_, _| true,
        reference_requires: on_my_map,
        requires: in_aligned_program,
        ensures: |s| match (s.answer, target(s)) {
            (Answer::Loaded(Access::Done(bytes)), Some((page, perm, offset))) => {
                (perm == perm::PTU || perm == perm::PTUR)
                    && (0..s.arguments.chunk as u32)
                        .zip(bytes)
                        .all(|(k, byte)| *byte == s.before.own.hp.get([page, offset + k]).value)
            }
            (Answer::Loaded(Access::Fault), None) => faulted(s),
            (Answer::Loaded(Access::Fault), Some((_, perm, _))) => {
                perm != perm::PTU && perm != perm::PTUR && faulted(s)
            }
            _ => false,
        },
        events: no_events,
        modifies: |s, may| {
            if matches!(s.answer, Answer::Loaded(Access::Fault)) {
                may("ti.addr", Region::All, &[]);
                may("ti.ra", Region::All, &[]);
            }
        },
    }
}

pub(crate) fn exec_store<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::exec_store(cpu, a.chunk, a.wide, a.bytes, a.place).map(Answer::Stored),
        assumes: |_, _| true,
        reference_requires: on_my_map,
        requires: in_aligned_program,
        ensures: |s| match (s.answer, target(s)) {
            (Answer::Stored(Access::Done(())), Some((page, perm, offset))) => {
                perm == perm::PTU
                    && (0..s.arguments.chunk as u32).zip(&s.arguments.bytes).all(|(k, byte)| {
                        s.after.own.hp.get([page, offset + k]).value == *byte
                            && s.after.ghost.hp_defined.get([page, offset + k]).defined.holds()
                    })
            }
            (Answer::Stored(Access::Fault), None) => faulted(s),
            (Answer::Stored(Access::Fault), Some((_, perm, _))) => perm != perm::PTU && faulted(s),
            _ => false,
        },
        events: no_events,
        modifies: |s, may| match (s.answer, target(s)) {
            (Answer::Stored(Access::Done(())), Some((page, _, offset))) => {
                for k in 0..s.arguments.chunk as u32 {
                    may("HP", Region::All, &[page, offset + k]);
                    may("HP.defined", Region::All, &[page, offset + k]);
                }
            }
            _ => {
                may("ti.addr", Region::All, &[]);
                may("ti.ra", Region::All, &[]);
            }
        },
    }
}

/// Guest mode, and the access is aligned and in the guest's memory.
fn on_nested_tables<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let has_table = |at: M::Word| v.ghost.ept_dirs.get([nested::<M>(at)[0]]).defined.holds();
    !v.ghost.ihost.holds() && is_aligned(a) && a.wide.narrow().is_some_and(has_table) && is_nested(v, a)
}

/// The nested tables have an entry for the address.
fn is_nested<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    a.wide.narrow().is_some_and(|at| v.ghost.ept_defined.get(nested::<M>(at)).defined.holds())
}

/// The frame at the address in the nested tables is data of this CPU.
fn is_mine<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    nested_target(v, a).is_some_and(|(page, _)| matches!(v.ghost.pperm.get([page]), FrameUse::Alloc))
}

/// The CPU executes a guest that is set up, and the access is aligned and in the guest's memory.
fn in_aligned_guest<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    v.own.vm.set_up.holds() && !v.ghost.ihost.holds() && is_aligned(a) && is_nested(v, a)
}

/// Like [`in_aligned_guest`], and the frame is data of this CPU.
fn in_guest_of_mine<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_aligned_guest(v, a) && is_mine(v, a)
}

/// Like [`on_nested_tables`], and the frame is data of this CPU.
fn on_my_nested_data<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    on_nested_tables(v, a) && is_mine(v, a)
}

/// Frame and offset of the address by the nested tables; the low 12 bits of the entry are ignored.
fn nested_target<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> Option<(M::Word, M::Word)> {
    let at = a.wide.narrow()?;
    Some((v.own.ept.get(nested::<M>(at)).value / PAGE_SIZE, at % PAGE_SIZE))
}

pub(crate) fn guest_load<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::guest_load(cpu, a.chunk, a.wide).map(|bytes| Answer::Loaded(Access::Done(bytes))),
        on_nested_tables,
        in_aligned_guest,
        |s| match (s.answer, nested_target(&s.before, s.arguments)) {
            (Answer::Loaded(Access::Done(bytes)), Some((page, offset))) => (0..s.arguments.chunk as u32)
                .zip(bytes)
                .all(|(k, byte)| *byte == s.before.own.hp.get([page, offset + k]).value),
            _ => false,
        },
    )
}

pub(crate) fn guest_store<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::guest_store(cpu, a.chunk, a.wide, a.bytes).map(|()| Answer::Stored(Access::Done(()))),
        assumes: |_, _| true,
        reference_requires: on_my_nested_data,
        requires: in_guest_of_mine,
        ensures: |s| {
            nested_target(&s.before, s.arguments).is_some_and(|(page, offset)| {
                (0..s.arguments.chunk as u32).zip(&s.arguments.bytes).all(|(k, byte)| {
                    s.after.own.hp.get([page, offset + k]).value == *byte
                        && s.after.ghost.hp_defined.get([page, offset + k]).defined.holds()
                })
            })
        },
        events: no_events,
        modifies: |s, may| {
            let Some((page, offset)) = nested_target(&s.before, s.arguments) else { return };
            for k in 0..s.arguments.chunk as u32 {
                may("HP", Region::All, &[page, offset + k]);
                may("HP.defined", Region::All, &[page, offset + k]);
            }
        },
    }
}
