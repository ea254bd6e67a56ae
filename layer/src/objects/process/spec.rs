//! The specification of processes: contracts of 12, 58, 61 to 64 and 69 to 74, and facts.
use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::fields::process::{GONE, LIVE, VACANT};
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::core::replay::Out;
use crate::objects::mode::spec::{hkpt_init, in_kernel, in_program};
use crate::objects::page_table::spec::is_user_directory;
use crate::spec::contract::{Contract, Region, Transition, no_events, silent};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Flag, Map, Wide};

/// Thread `n` has no memory: no entry of its user directories names a page table. Stated about an arbitrary
/// entry.
fn has_no_memory<M: Spec>(s: &Transition<'_, M>, n: M::Word) -> bool {
    let i = s.any[0];
    i >= M::Geometry::DIRS || !is_user_directory::<M>(i) || matches!(s.after.own.dirs.get([n, i]), Pde::UnPresent)
}

/// The running thread can create one more child.
fn has_child_left<M: Spec>(v: &View<'_, M>) -> bool {
    let (cur, c) = (v.own.cur, v.own.ac.get([v.own.cur]));
    c.nchildren < MAX_CHILDREN && cur < NUM_PROC / MAX_CHILDREN && cur * MAX_CHILDREN + 1 + c.nchildren < NUM_PROC
}

/// The registers with which a program starts, besides EIP. All others are 0.
pub fn initial_registers<M: Spec>() -> [(u32, u32); 6] {
    [
        (slot::ESP, STACK_TOP),
        (slot::EFLAGS, FL_IF),
        (slot::CS, M::Geometry::USER_CODE),
        (slot::SS, USER_DATA),
        (slot::DS, USER_DATA),
        (slot::ES, USER_DATA),
    ]
}

pub(crate) fn proc_create<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::proc_create(cpu, a.words[0], a.wide, a.words[1]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let (cur, c) = (v.own.cur, v.own.ac.get([v.own.cur]));
            hkpt_init(v, a)
                && c.used.holds()
                && has_child_left(v)
                && !v.own.ac.get([cur * MAX_CHILDREN + 1 + c.nchildren]).used.holds()
                && a.words[1] <= c.quota - c.usage
        },
        requires: |v, a| {
            let c = v.own.ac.get([v.own.cur]);
            in_kernel(v, a) && has_child_left(v) && a.words[1] <= c.quota - c.usage
        },
        ensures: |s| {
            let (cur, q, child) = (s.before.own.cur, s.arguments.words[1], s.answer.word());
            let (before, after) = (s.before.own.ac.get([cur]), s.after.own.ac.get([cur]));
            let made = s.after.own.ac.get([child]);
            let slot = |k: u32| s.after.own.uctxt.get([child, k.into()]).value;
            let kind = |k: u32| s.after.ghost.uctxt_kind.get([child, k.into()]);
            let kernel = s.after.own.kctxt.get([child]);
            let given = initial_registers::<M>();
            child == cur * MAX_CHILDREN + 1 + before.nchildren
                && !s.before.own.ac.get([child]).used.holds()
                && s.after.own.proc.get([child]).state == LIVE
                && after.usage == before.usage + q
                && after.nchildren == before.nchildren + 1
                && made.used.holds()
                && made.quota == q
                && made.usage == 0
                && made.parent == cur
                && made.nchildren == 0
                && kernel.ra == START_USER
                && kernel.esp == child * PAGE_SIZE + (PAGE_SIZE - 4)
                && slot(slot::EIP) == s.arguments.wide
                && matches!(kind(slot::EIP), SlotKind::Ptr)
                && given
                    .iter()
                    .all(|&(k, value)| slot(k) == M::Wide::constant(value.into()) && matches!(kind(k), SlotKind::Int))
                && (s.any[0] >= UCTXT_SIZE
                    || s.any[0] == slot::EIP
                    || given.iter().any(|&(k, _)| s.any[0] == k)
                    || (s.after.own.uctxt.get([child, s.any[0]]).value == M::Wide::constant(0)
                        && matches!(s.after.ghost.uctxt_kind.get([child, s.any[0]]), SlotKind::Int)))
                && s.after.own.ready.tail == child
                && has_no_memory(s, child)
        },
        events: |s, log| match log {
            [(Event::Spawn { tid, child, quota, sp_ofs, code }, Out::Spawned)] => {
                *tid == s.before.own.cur
                    && *child == s.answer.word()
                    && *quota == s.arguments.words[1]
                    && *sp_ofs == *child * PAGE_SIZE + (PAGE_SIZE - 4)
                    && *code == s.arguments.wide
            }
            _ => false,
        },
        modifies: |s, may| {
            let (cur, child) = (s.before.own.cur, s.answer.word());
            may("AC", Region::Leaf("usage"), &[cur]);
            may("AC", Region::Leaf("nchildren"), &[cur]);
            for field in ["AC", "AC.charged", "kctxt", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
                may(field, Region::All, &[child]);
            }
            if s.before.own.ready.tail != NO_THREAD {
                may("tcb.next", Region::All, &[s.before.own.ready.tail]);
            }
            for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
                may(scalar, Region::All, &[]);
            }
        },
    }
}

pub(crate) fn proc_create_postinit<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::proc_create_postinit(cpu, a.words[0]).map(|()| Answer::Unit),
        hkpt_init,
        in_kernel,
        |s| matches!(s.answer, Answer::Unit),
    )
}

pub(crate) fn proc_start_user<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| super::proc_start_user(cpu).map(|to| Answer::ToUser(to.thread)),
        assumes: |_, _| true,
        reference_requires: hkpt_init,
        requires: in_kernel,
        ensures: |s| {
            let g = s.after.ghost;
            matches!(s.answer, Answer::ToUser(thread) if *thread == s.before.own.cur)
                && !g.ikern.holds()
                && !g.ipt.holds()
                && g.pt == s.before.own.cur
        },
        events: no_events,
        modifies: |_, may| {
            for scalar in ["ikern", "ipt", "PT"] {
                may(scalar, Region::All, &[]);
            }
        },
    }
}

pub(crate) fn proc_exit_user<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::proc_exit_user(cpu, a.registers).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, _| !v.ghost.ikern.holds() && v.ghost.pg.holds() && v.ghost.ihost.holds(),
        requires: in_program,
        ensures: |s| {
            let g = s.after.ghost;
            g.ikern.holds()
                && g.ipt.holds()
                && g.pt == 0
                && (s.any[0] >= UCTXT_SIZE
                    || (matches!(g.uctxt_kind.get([s.before.own.cur, s.any[0]]), SlotKind::Int)
                        && s.after.own.uctxt.get([s.before.own.cur, s.any[0]]).value
                            == M::register(&s.arguments.registers, s.any[0])))
        },
        events: no_events,
        modifies: |s, may| {
            for scalar in ["ikern", "ipt", "PT"] {
                may(scalar, Region::All, &[]);
            }
            may("uctxt", Region::All, &[s.before.own.cur]);
            may("uctxt.kind", Region::All, &[s.before.own.cur]);
        },
    }
}

pub(crate) fn proc_start_user2<M: Spec>() -> Contract<M> {
    Contract { run: |cpu, _| super::proc_start_user2(cpu).map(|to| Answer::ToUser(to.thread)), ..proc_start_user() }
}

pub(crate) fn proc_exit_user2<M: Spec>() -> Contract<M> {
    Contract { run: |cpu, a| super::proc_exit_user2(cpu, a.registers).map(|()| Answer::Unit), ..proc_exit_user() }
}

pub(crate) fn proc_reap<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::proc_reap(cpu, a.words[0]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt_init(v, a) && can_reap(v, a.words[0]),
        requires: |v, a| in_kernel(v, a) && can_reap(v, a.words[0]),
        ensures: |s| {
            let child = s.arguments.words[0];
            is_my_child(&s.before, child)
                && s.before.own.ac.get([s.before.own.cur]).nchildren > 0
                && s.before.own.proc.get([child]).state == GONE
                && s.answer.word() == s.before.own.proc.get([child]).status
                && s.after.own.proc.get([child]).state == VACANT
                && is_reaped(s, child)
        },
        events: no_events,
        modifies: |s, may| {
            let child = s.arguments.words[0];
            may("AC", Region::Leaf("quota"), &[child]);
            may("AC", Region::Leaf("usage"), &[s.before.own.cur]);
            may("proc", Region::Leaf("state"), &[child]);
        },
    }
}

/// The process of container `i` has left nothing: its parent has its quota back, no frame is charged to it, and its
/// page map has no page table.
fn is_reaped<M: Spec>(s: &Transition<'_, M>, i: M::Word) -> bool {
    let (before, after) = (s.before.own.ac.get([i]), s.after.own.ac.get([i]));
    let [parent, now] = [&s.before, &s.after].map(|v| v.own.ac.get([before.parent]));
    after.quota == 0
        && after.usage == 0
        && after.used.holds()
        && now.usage + before.quota == parent.usage
        && now.quota == parent.quota
        && now.nchildren == parent.nchildren
        && s.after.ghost.charged.get([i]).pages == 0
        && (s.any[0] >= MAX_PAGE
            || matches!(s.after.ghost.pperm.get([s.any[0]]), FrameUse::Undef)
            || s.after.ghost.lat.get([s.any[0]]).payer != i)
        && (s.any[1] >= M::Geometry::DIRS || !matches!(s.after.own.dirs.get([i, s.any[1]]), Pde::Table { .. }))
}

/// A child of the running thread.
fn is_my_child<M: Spec>(v: &View<'_, M>, child: M::Word) -> bool {
    is_child(v, child) && v.own.ac.get([child]).parent == v.own.cur
}

fn can_reap<M: Spec>(v: &View<'_, M>, child: M::Word) -> bool {
    is_my_child(v, child) && v.own.proc.get([child]).state == GONE && v.own.ac.get([child]).usage == 0
}

pub(crate) fn proc_state<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::proc_state(cpu, a.words[0]).map(Answer::Word),
        hkpt_init,
        in_kernel,
        |s| {
            let child = s.arguments.words[0];
            if is_my_child(&s.before, child) {
                s.answer.word() == s.before.own.proc.get([child]).state + 1
            } else {
                s.answer.word() == 0
            }
        },
    )
}

pub(crate) fn proc_condemn<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::proc_condemn(cpu, a.words[0], a.context).map(|()| Answer::Unit),
        assumes: |_, a| a.context.ra < CONTINUATIONS,
        reference_requires: |v, a| {
            hkpt_init(v, a) && is_my_child(v, a.words[0]) && v.own.proc.get([a.words[0]]).state == LIVE
        },
        requires: |v, a| in_kernel(v, a) && is_my_child(v, a.words[0]) && v.own.proc.get([a.words[0]]).state == LIVE,
        ensures: |s| {
            let saved = s.after.own.kctxt.get([s.arguments.words[0]]);
            saved.ra == s.arguments.context.ra && saved.esp == s.arguments.context.esp
        },
        events: no_events,
        modifies: |s, may| may("kctxt", Region::All, &[s.arguments.words[0]]),
    }
}

/// A container in use that is not a root.
fn is_child<M: Spec>(v: &View<'_, M>, i: M::Word) -> bool {
    i > TOTAL_CPU && i < NUM_ID && v.own.ac.get([i]).used.holds()
}

pub(crate) fn thread_exit<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| {
            super::thread_exit(cpu, a.words[0], a.words[1], a.context)
                .map(|resume| Answer::Resume(resume.into_context()))
        },
        assumes: |_, a| a.context.ra < CONTINUATIONS,
        reference_requires: |v, a| {
            let cur = v.own.cur;
            let container = v.own.ac.get([cur]);
            hkpt_init(v, a)
                && cur > TOTAL_CPU
                && container.used.holds()
                && container.usage == 0
                && v.own.ready.head != NO_THREAD
        },
        requires: |v, a| in_kernel(v, a) && v.own.cur > TOTAL_CPU && v.own.ac.get([v.own.cur]).usage == 0,
        ensures: |s| {
            let Answer::Resume(resume) = s.answer else { return false };
            let (ended, next) = (s.before.own.cur, s.after.own.cur);
            let process = s.after.own.proc.get([ended]);
            let reaps_itself = s.before.own.ac.get([ended]).parent <= TOTAL_CPU;
            (if reaps_itself { process.state == VACANT && is_reaped(s, ended) } else { process.state == GONE })
                && process.status == s.arguments.words[0]
                && process.cause == s.arguments.words[1]
                && s.after.own.ac.get([ended]).usage == 0
                && s.after.own.kctxt.get([ended]).ra == s.arguments.context.ra
                && s.after.own.kctxt.get([ended]).esp == s.arguments.context.esp
                && s.after.threads.tcb.get([ended]).place == place::GONE
                && next == s.before.own.ready.head
                && s.after.threads.tcb.get([next]).place == place::RUN
                && resume.ra < CONTINUATIONS
                && resume.ra == s.after.own.kctxt.get([next]).ra
                && resume.esp == s.after.own.kctxt.get([next]).esp
        },
        events: |s, log| match log {
            [(Event::Exit { tid }, Out::RunId(next))] => *tid == s.before.own.cur && *next == s.after.own.cur,
            _ => false,
        },
        modifies: |s, may| {
            let cur = s.before.own.cur;
            may("cid", Region::All, &[]);
            may("kctxt", Region::All, &[cur]);
            may("proc", Region::All, &[cur]);
            let parent = s.before.own.ac.get([cur]).parent;
            if parent <= TOTAL_CPU {
                may("AC", Region::Leaf("quota"), &[cur]);
                may("AC", Region::Leaf("usage"), &[parent]);
            }
            for scalar in ["rdy.head", "rdy.tail", "rdy.lo"] {
                may(scalar, Region::All, &[]);
            }
            for field in ["tcb", "tcb.next"] {
                may(field, Region::Mine, &[]);
            }
        },
    }
}

/// `child` is a child of the running thread, its process has ended and holds nothing, and `q` pages of quota are left.
fn is_vacant<M: Spec>(v: &View<'_, M>, child: M::Word, q: M::Word) -> bool {
    let cur = v.own.ac.get([v.own.cur]);
    is_child(v, child)
        && v.own.ac.get([child]).parent == v.own.cur
        && v.own.ac.get([child]).quota == 0
        && v.own.proc.get([child]).state == VACANT
        && q <= cur.quota - cur.usage
}

pub(crate) fn proc_recreate<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::proc_recreate(cpu, a.words[0], a.wide, a.words[1]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt_init(v, a) && is_vacant(v, a.words[0], a.words[1]),
        requires: |v, a| in_kernel(v, a) && is_vacant(v, a.words[0], a.words[1]),
        ensures: |s| {
            let ([child, q, ..], cur) = (s.arguments.words, s.before.own.cur);
            let (before, after) = (s.before.own.ac.get([cur]), s.after.own.ac.get([cur]));
            let made = s.after.own.ac.get([child]);
            let (process, kernel) = (s.after.own.proc.get([child]), s.after.own.kctxt.get([child]));
            let slot = |k: u32| s.after.own.uctxt.get([child, k.into()]).value;
            after.usage == before.usage + q
                && after.nchildren == before.nchildren
                && made.used.holds()
                && made.quota == q
                && made.usage == 0
                && made.parent == cur
                && kernel.ra == START_USER
                && slot(slot::EIP) == s.arguments.wide
                && slot(slot::ESP) == M::Wide::constant(STACK_TOP.into())
                && slot(slot::EFLAGS) == M::Wide::constant(FL_IF.into())
                && s.after.own.ready.tail == child
                && process.state == LIVE
                && process.status == 0
                && process.cause == 0
                && kernel.esp == child * PAGE_SIZE + (PAGE_SIZE - 4)
                // The new process inherits no page, page table or register contents.
                && has_no_memory(s, child)
                && s.after.ghost.charged.get([child]).pages == 0
                && (s.any[0] >= UCTXT_SIZE
                    || [slot::EIP, slot::ESP, slot::EFLAGS, slot::CS, slot::SS, slot::DS, slot::ES]
                        .iter()
                        .any(|&k| s.any[0] == k)
                    || s.after.own.uctxt.get([child, s.any[0]]).value == M::Wide::constant(0))
        },
        events: |s, log| match log {
            [(Event::Respawn { tid, child, quota }, Out::Spawned)] => {
                *tid == s.before.own.cur && *child == s.arguments.words[0] && *quota == s.arguments.words[1]
            }
            _ => false,
        },
        modifies: |s, may| {
            let (cur, child) = (s.before.own.cur, s.arguments.words[0]);
            may("AC", Region::Leaf("usage"), &[cur]);
            may("AC", Region::Leaf("quota"), &[child]);
            for field in ["kctxt", "proc", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
                may(field, Region::All, &[child]);
            }
            if s.before.own.ready.tail != NO_THREAD {
                may("tcb.next", Region::All, &[s.before.own.ready.tail]);
            }
            for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
                may(scalar, Region::All, &[]);
            }
        },
    }
}

pub(crate) fn proc_first<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::proc_first(cpu, a.words[0]).map(Answer::Word),
        |v, a| hkpt_init(v, a) && v.own.ac.get([v.own.cur]).used.holds(),
        in_kernel,
        |s| {
            let (state, child, any) = (s.arguments.words[0], s.answer.word(), s.any[0]);
            let is = |child| {
                let now = s.before.own.proc.get([child]).state;
                if state == LIVE || state == GONE { now == state } else { now == VACANT }
            };
            if child != 0 {
                return is_my_child(&s.before, child) && is(child);
            }
            !is_my_child(&s.before, any) || !is(any)
        },
    )
}

/// The facts about processes that have ended.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 5] {
    [
        Fact {
            number: "D23.1",
            name: "a thread is gone where its process has ended",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| {
                !v.is_mine(k[0])
                    || (v.own.proc.get([k[0]]).state != process::LIVE)
                        == (v.threads.tcb.get([k[0]]).place == place::GONE)
            },
        },
        Fact {
            number: "D23.2",
            name: "only threads alive have ended",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| v.is_mine(k[0]) || v.own.proc.get([k[0]]).state == process::LIVE,
        },
        Fact {
            number: "D23.4",
            name: "a process is live, gone or vacant",
            class: Class::Derived,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state <= process::VACANT,
        },
        Fact {
            number: "D23.3",
            name: "who is vacant has nothing",
            class: Class::Derived,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state != process::VACANT || v.own.ac.get([k[0]]).quota == 0,
        },
        Fact {
            number: "E1",
            name: "a process that has ended uses no pages",
            class: Class::Entry,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state != process::GONE || v.own.ac.get([k[0]]).usage == 0,
        },
    ]
}
