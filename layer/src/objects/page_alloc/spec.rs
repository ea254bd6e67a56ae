//! The specification of the page allocator: contracts of 2 and 65, and facts.
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::log::Event;
use crate::core::machine::{Object, Spec};
use crate::core::replay::Out;
use crate::objects::container::spec::{is_accounted, is_container, of_container};
use crate::objects::mode::spec::hkpt_init;
use crate::spec::contract::{Cells, Contract, Region, Transition};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Flag, Map};

/// Frame `page` was allocated and charged to container `n`; if `page` is 0, nothing was charged.
pub(crate) fn allocated<M: Spec>(s: &Transition<'_, M>, n: M::Word, page: M::Word) -> bool {
    let (before, after) = (s.before.own.ac.get([n]), s.after.own.ac.get([n]));
    if page == 0 {
        return before.usage == after.usage;
    }
    page < s.before.own.nps
        && s.before.ghost.pg.holds()
        && after.usage == before.usage + 1
        && after.usage <= after.quota
        && matches!(s.before.ghost.pperm.get([page]), FrameUse::Undef)
        // The table says from boot on which frames are usable memory, and no CPU changes that. So a frame that is free
        // now was one of them before, too.
        && s.before.at.frames.get([page]).kind == kind::NORM
}

/// Frame `p` can be handed out: it is usable memory of the user area and is not allocated.
fn is_free<M: Spec>(v: &View<'_, M>, p: M::Word) -> bool {
    let frame = v.at.frames.get([p]);
    frame.kind == kind::NORM && !frame.alloc.holds()
}

/// Container `n` can get no page: its quota is used up, or no frame is free.
pub(crate) fn is_exhausted<M: Spec>(s: &Transition<'_, M>, n: M::Word) -> bool {
    let (container, p) = (s.after.own.ac.get([n]), s.any[0]);
    container.usage >= container.quota || p >= s.before.own.nps || !is_free(&s.after, p)
}

/// The cells that an allocation for container `n` may write.
pub(crate) fn allocation<M: Spec>(n: M::Word, page: M::Word, may: Cells<'_, M>) {
    may("AC", Region::Leaf("usage"), &[n]);
    may("AC.charged", Region::All, &[n]);
    may("AC.seats", Region::All, &[n]);
    may("AT", Region::Leaf("alloc"), &[page]);
    may("AT.owner", Region::All, &[page]);
    may("pperm", Region::All, &[page]);
    may("LAT", Region::All, &[page]);
}

/// The precondition of an allocation.
pub(crate) fn can_allocate<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hkpt_init(v, a) && is_container(v, a)
}

pub(crate) fn palloc<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::palloc(cpu, a.words[0]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: can_allocate,
        requires: of_container,
        ensures: |s| {
            let (n, page) = (s.arguments.words[0], s.answer.word());
            allocated(s, n, page)
                && if page == 0 {
                    is_exhausted(s, n)
                } else {
                    let lat = s.after.ghost.lat.get([page]);
                    matches!(s.after.ghost.pperm.get([page]), FrameUse::Alloc)
                        && lat.valid.holds()
                        && lat.len == 0
                        // The lowest free frame (`first_free`).
                        && (s.any[0] >= page || !is_free(&s.after, s.any[0]))
                }
        },
        events: |s, log| match log {
            [one] => hands_out(s, one, s.answer.word()),
            _ => false,
        },
        modifies: |s, may| {
            if s.answer.word() != 0 {
                allocation::<M>(s.arguments.words[0], s.answer.word(), may)
            }
        },
    }
}

/// Frame `page`, which was charged to container `n`, was released and is free.
pub(crate) fn given_back<M: Spec>(s: &Transition<'_, M>, n: M::Word, page: M::Word) -> bool {
    let (before, after) = (s.before.own.ac.get([n]), s.after.own.ac.get([n]));
    after.usage + 1 == before.usage
        && after.quota == before.quota
        && is_free(&s.after, page)
        && matches!(s.after.ghost.pperm.get([page]), FrameUse::Undef)
        && is_paid(&s.before, n, page)
        && takes_seat(&s.before, n).is_some_and(|last| is_paid(&s.before, n, last))
}

/// Frame `page` is charged to container `n`.
pub(crate) fn is_paid<M: Spec>(v: &View<'_, M>, n: M::Word, page: M::Word) -> bool {
    !matches!(v.ghost.pperm.get([page]), FrameUse::Undef) && v.ghost.lat.get([page]).payer == n
}

/// The frame that takes the seat of a frame that container `n` releases: the last frame that is charged to `n`.
pub(crate) fn takes_seat<M: Spec>(v: &View<'_, M>, n: M::Word) -> Option<M::Word> {
    let pages = v.ghost.charged.get([n]).pages;
    (pages > 0).then(|| v.ghost.seats.get([n, pages - 1]).frame)
}

/// The cells that releasing a page of container `n` may write.
pub(crate) fn return_of<M: Spec>(s: &Transition<'_, M>, n: M::Word, page: M::Word, may: Cells<'_, M>) {
    allocation::<M>(n, page, &mut *may);
    may("AT.cursor", Region::All, &[]);
    may("HP.defined", Region::All, &[page]);
    if let Some(last) = takes_seat(&s.before, n) {
        may("LAT", Region::Leaf("seat"), &[last]);
    }
}

/// The frame is data of this CPU and is not mapped.
pub(crate) fn is_data<M: Spec>(v: &View<'_, M>, page: M::Word) -> bool {
    page > 0
        && page < v.own.nps
        && page < MAX_PAGE
        && matches!(v.ghost.pperm.get([page]), FrameUse::Alloc)
        && v.ghost.lat.get([page]).len == 0
}

pub(crate) fn pfree<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::pfree(cpu, a.words[0], a.words[1]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, page, ..] = a.words;
            can_allocate(v, a)
                && page > 0
                && page < v.own.nps
                && matches!(v.ghost.pperm.get([page]), FrameUse::Alloc)
                && v.ghost.lat.get([page]).payer == n
                && v.ghost.lat.get([page]).len == 0
                && is_accounted::<M>(&v.own.ac, n, v.ghost.charged.get([n]))
        },
        requires: |v, a| {
            let [n, page, ..] = a.words;
            of_container(v, a) && is_data(v, page) && v.ghost.lat.get([page]).payer == n
        },
        ensures: |s| given_back(s, s.arguments.words[0], s.arguments.words[1]),
        events: |s, log| match log {
            [(Event::Pfree { tid, page }, _)] => *tid == s.before.own.cur && *page == s.arguments.words[1],
            _ => false,
        },
        modifies: |s, may| return_of(s, s.arguments.words[0], s.arguments.words[1], may),
    }
}

/// The event allocates `page` for the running thread.
pub(crate) fn hands_out<M: Spec>(s: &Transition<'_, M>, event: &(Event<M>, Out<M>), page: M::Word) -> bool {
    matches!(event.0, Event::Palloc { tid, page: p } if tid == s.before.own.cur && p == page)
}

/// The facts about frames and the allocation table.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 7] {
    [
        Fact {
            number: "H1",
            name: "valid_nps",
            class: Class::High,
            keys: &[],
            holds: |v, _| !v.ghost.pg.holds() || (v.own.nps >= KERN_LOW && v.own.nps <= MAX_PAGE),
        },
        Fact {
            number: "H7",
            name: "init_pperm",
            class: Class::High,
            keys: &[("pperm", &[0])],
            holds: |v, k| v.ghost.pg.holds() || matches!(v.ghost.pperm.get([k[0]]), FrameUse::Undef),
        },
        Fact {
            number: "H12",
            name: "valid_dirty",
            class: Class::High,
            keys: &[("HP.defined", &[0, 1])],
            holds: |v, k| {
                matches!(v.ghost.pperm.get([k[0]]), FrameUse::Alloc)
                    || !v.ghost.hp_defined.get([k[0], k[1]]).defined.holds()
            },
        },
        Fact {
            number: "D9",
            name: "owned frames were given to this CPU",
            class: Class::Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| {
                let mine = M::present(&v.at.owner).owners.get([k[0]]).cpu == v.own.cpu;
                match v.ghost.pperm.get([k[0]]) {
                    FrameUse::Undef => !mine,
                    _ => mine && k[0] < v.own.nps && v.ghost.lat.get([k[0]]).valid.holds(),
                }
            },
        },
        Fact {
            number: "D11",
            name: "lock invariant of the allocation table",
            class: Class::Derived,
            keys: &[("AT", &[0])],
            holds: |v, k| v.at.lock_invariant(0.into(), v.threads, k),
        },
        Fact {
            number: "D22.1",
            name: "owned frames are charged",
            class: Class::Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| {
                matches!(v.ghost.pperm.get([k[0]]), FrameUse::Undef) || {
                    let lat = v.ghost.lat.get([k[0]]);
                    lat.payer < NUM_ID
                        && v.own.ac.get([lat.payer]).used.holds()
                        && lat.seat < v.ghost.charged.get([lat.payer]).pages
                        && v.ghost.seats.get([lat.payer, lat.seat]).frame == k[0]
                }
            },
        },
        Fact {
            number: "D22.2",
            name: "charged frames are owned",
            class: Class::Derived,
            keys: &[("AC.seats", &[0, 1])],
            holds: |v, k| {
                k[1] >= v.ghost.charged.get([k[0]]).pages || {
                    let frame = v.ghost.seats.get([k[0], k[1]]).frame;
                    frame < MAX_PAGE && !matches!(v.ghost.pperm.get([frame]), FrameUse::Undef) && {
                        let lat = v.ghost.lat.get([frame]);
                        lat.payer == k[0] && lat.seat == k[1]
                    }
                }
            },
        },
    ]
}
