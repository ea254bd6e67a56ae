//! The specification of page copies: the contract of 76 (`page_copy_to`).
use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::{hk_init, in_kernel};
use crate::objects::page_table::spec::{can_read, mapped};
use crate::spec::contract::{Contract, Region, no_events};
use crate::spec::view::View;
use domain::{Flag, Map};

/// Thread `n` has a data page of this CPU at `va`, and `va` is page-aligned.
pub(crate) fn has_data_page<M: Spec>(v: &View<'_, M>, n: M::Word, va: M::Word) -> bool {
    can_read(v, n, va)
        && va % PAGE_SIZE == 0
        && match mapped(v, n, va) {
            Some((page, _)) => page < MAX_PAGE && matches!(v.ghost.pperm.get([page]), FrameUse::Alloc),
            None => false,
        }
}

pub(crate) fn page_copy_to<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::page_copy_to(cpu, a.words[0], a.words[1], a.words[2]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, va, from, _] = a.words;
            hk_init(v, a) && has_data_page(v, n, va) && has_data_page(v, v.own.cur, from)
        },
        requires: |v, a| {
            let [n, va, from, _] = a.words;
            in_kernel(v, a) && has_data_page(v, n, va) && has_data_page(v, v.own.cur, from)
        },
        ensures: |s| {
            let ([n, va, from, _], byte) = (s.arguments.words, s.any[0]);
            let pages = (mapped(&s.before, n, va), mapped(&s.before, s.before.own.cur, from));
            match pages {
                (Some((target, _)), Some((source, _))) => {
                    byte >= PAGE_SIZE
                        || s.after.own.hp.get([target, byte]).value == s.before.own.hp.get([source, byte]).value
                            && s.after.ghost.hp_defined.get([target, byte]).defined.holds()
                                == s.before.ghost.hp_defined.get([source, byte]).defined.holds()
                }
                _ => false,
            }
        },
        events: no_events,
        modifies: |s, may| {
            if let Some((target, _)) = mapped(&s.before, s.arguments.words[0], s.arguments.words[1]) {
                may("HP", Region::All, &[target]);
                may("HP.defined", Region::All, &[target]);
            }
        },
    }
}
