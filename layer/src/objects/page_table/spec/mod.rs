//! The specification of page maps: contracts of 3 to 5, 66 to 68, 75 and of the internal functions of 5, with the facts
//! beside them.
mod entries;
pub(crate) mod facts;
mod map;
mod unmap;

use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::machine::Spec;
use crate::objects::context::spec::of_my_thread;
use crate::objects::mode::spec::{hk, hk_init};
use crate::objects::page_table;
use crate::spec::contract::{Contract, Region, no_events, silent};
use domain::Flag;

pub(crate) use entries::{can_read, is_user_directory, pdx, ptx};
pub use entries::{in_window, mapped};
pub use map::NEW_FRAME;
pub(crate) use map::{pt_reserve, pt_resv, ptAllocPDE, ptInsert, ptInsertPTE};
pub(crate) use unmap::{pt_free_pde, pt_next_pde, pt_rmv};

pub(crate) fn set_pt<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| page_table::set_pt(cpu, a.words[0]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hk(v, a) && !v.ghost.ipt.holds() && a.words[0] < NUM_PROC,
        requires: |_, _| false,
        ensures: |s| s.after.ghost.pt == s.arguments.words[0],
        events: no_events,
        modifies: |_, may| may("PT", Region::All, &[]),
    }
}

pub(crate) fn pt_read<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| page_table::pt_read(cpu, a.words[0], a.words[1]).map(Answer::Word),
        |v, a| hk_init(v, a) && can_read(v, a.words[0], a.words[1]),
        |v, a| of_my_thread(v, a) && a.words[0] > 0 && in_window::<M>(a.words[1]),
        |s| match mapped(&s.before, s.arguments.words[0], s.arguments.words[1]) {
            Some((page, perm)) => s.answer.word() == page * PAGE_SIZE + perm && s.answer.word() != 0,
            None => s.answer.word() == 0,
        },
    )
}
