//! Contracts of the memory accessors.
use super::{Answer, Arguments, Contract, Step, in_program};
use crate::constants::*;
use crate::fields::*;
use crate::invariant::View;
use crate::machine::Spec;
use crate::memory::{self, Access};
use crate::page_table::{pdx, ptx};
use domain::{Flag, Map, Wide};

/// Where the running program's map puts its access, if anywhere.
fn target<M: Spec>(s: &Step<'_, M>) -> Option<(M::Word, M::Word, M::Word)> {
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

/// A program is executed, and the access is aligned.
fn in_aligned_program<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_program(v, a) && is_aligned(a)
}

/// User mode, on the running thread's page map, and the access is aligned.
fn on_my_map<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let g = v.ghost;
    g.ihost.holds() && g.pg.holds() && !g.ikern.holds() && g.pt == v.own.cur && is_aligned(a)
}

/// A fault: `ti` says where.
fn faulted<M: Spec>(s: &Step<'_, M>) -> bool {
    s.after.own.ti.addr == s.arguments.wide && s.after.own.ti.ra == s.arguments.place
}

pub(crate) fn exec_load<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| memory::exec_load(cpu, a.chunk, a.wide, a.place).map(Answer::Loaded),
        premise: |_, _| true,
        guard: on_my_map,
        requires: in_aligned_program,
        promise: |s| match (s.answer, target(s)) {
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
        frame: |s, may| {
            if matches!(s.answer, Answer::Loaded(Access::Fault)) {
                may("ti.addr", "", &[]);
                may("ti.ra", "", &[]);
            }
        },
    }
}

pub(crate) fn exec_store<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| memory::exec_store(cpu, a.chunk, a.wide, a.bytes, a.place).map(Answer::Stored),
        premise: |_, _| true,
        guard: on_my_map,
        requires: in_aligned_program,
        promise: |s| match (s.answer, target(s)) {
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
        frame: |s, may| match (s.answer, target(s)) {
            (Answer::Stored(Access::Done(())), Some((page, _, offset))) => {
                for k in 0..s.arguments.chunk as u32 {
                    may("HP", "", &[page, offset + k]);
                    may("HP.defined", "", &[page, offset + k]);
                }
            }
            _ => {
                may("ti.addr", "", &[]);
                may("ti.ra", "", &[]);
            }
        },
    }
}
