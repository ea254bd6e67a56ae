//! The specification of threads: contracts of 6 to 8, 17 and 18, and facts.
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::core::replay::Out;
use crate::objects::channel::pool::Cv;
use crate::objects::channel::spec::{given_back, holds_lock, is_control};
use crate::objects::mode::spec::{hk, hkpt_init, in_kernel};
use crate::spec::contract::{Contract, Region, silent};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Flag, Map};

pub(crate) fn thread_wakeup<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::thread_wakeup(cpu, Cv(a.words[0])).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt_init(v, a) && a.words[0] < NUM_CV,
        requires: |v, a| in_kernel(v, a) && a.words[0] < NUM_CV,
        ensures: |s| {
            let (woke, cpu) = (s.answer.word(), s.before.own.cpu);
            let (before, after) = (s.before.own.ready.tail, s.after.own.ready.tail);
            (woke == 0 || woke == 1)
                // If no thread was found, no thread sleeps here.
                && (woke == 1
                    || s.any[0] >= NUM_PROC
                    || s.after.threads.tcb.get([s.any[0]]).place != s.arguments.words[0] + SLP_Q)
                // A thread that became ready is the last one of this CPU's ready queue.
                && (after == before
                    || (woke == 1
                        && after < NUM_PROC
                        && s.after.threads.tcb.get([after]).place == cpu
                        && s.before.threads.tcb.get([after]).place != cpu))
        },
        events: |s, log| {
            let (cur, cv, answer) = (s.before.own.cur, s.arguments.words[0], s.answer.word());
            match log {
                [(Event::Wake { tid, cv: on }, out)] => {
                    *tid == cur
                        && *on == cv
                        && match out {
                            Out::WakeNone => answer == 0,
                            Out::WakeLocal(_) => answer == 1,
                            _ => false,
                        }
                }
                [
                    (Event::Wake { tid, cv: on }, Out::WakeRemote(first, home)),
                    (Event::WakeDiff { tid: again, cv: same, woken, cpu }, Out::Inserted),
                ] => {
                    *tid == cur
                        && *again == cur
                        && *on == cv
                        && *same == cv
                        && *woken == *first
                        && *cpu == *home
                        && answer == 1
                }
                _ => false,
            }
        },
        modifies: |_, may| {
            for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
                may(scalar, Region::All, &[]);
            }
            // A sleeper may belong to any CPU. A separate theorem proves that the write is within other CPUs' rely
            // conditions.
            for field in ["tcb", "tcb.next"] {
                may(field, Region::All, &[]);
            }
        },
    }
}

pub(crate) fn thread_sleep<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| {
            super::thread_sleep(cpu, Cv(a.words[0]), a.context).map(|resume| Answer::Resume(resume.into_context()))
        },
        // The reference assumes that the captured registers are well typed.
        assumes: |_, a| a.context.ra < CONTINUATIONS,
        reference_requires: |v, a| {
            can_sleep(v, a)
                && hkpt_init(v, a)
                && v.own.cur > 0
                && v.own.ac.get([v.own.cur]).used.holds()
                && v.own.ready.head != NO_THREAD
        },
        // The running thread and the main thread always are this CPU's (D4.1, D4.7). Naming them here makes the prover
        // instantiate the facts about them: no other clause does.
        requires: |v, a| in_kernel(v, a) && v.is_mine(v.own.cur) && v.is_mine(v.own.cpu + 1) && can_sleep(v, a),
        ensures: |s| {
            let Answer::Resume(resume) = s.answer else { return false };
            let (slept, next, q) = (s.before.own.cur, s.after.own.cur, s.arguments.words[0] + SLP_Q);
            let saved = s.after.own.kctxt.get([slept]);
            saved.ra == s.arguments.context.ra
                && saved.esp == s.arguments.context.esp
                && resume.ra < CONTINUATIONS
                && resume.ra == s.after.own.kctxt.get([next]).ra
                && resume.esp == s.after.own.kctxt.get([next]).esp
                && next == s.before.own.ready.head
                && next != slept
                && s.after.threads.tcb.get([next]).place == place::RUN
                // The thread is the last one of those that sleep there.
                && s.after.threads.tcb.get([slept]).place == q
                && s.after.threads.next.get([slept]).thread == NO_THREAD
                && given_back(s, q)
        },
        events: |s, log| match log {
            [(Event::Sleep { tid, cv, to, senderpaddr, count, busy }, Out::RunId(next))] => {
                let block = SyncChannel { to: *to, senderpaddr: *senderpaddr, count: *count, busy: *busy };
                *tid == s.before.own.cur
                    && *cv == s.arguments.words[0]
                    && *next == s.after.own.cur
                    && is_control(s, *cv + SLP_Q, block)
            }
            _ => false,
        },
        modifies: |s, may| {
            let q = s.arguments.words[0] + SLP_Q;
            may("cid", Region::All, &[]);
            may("kctxt", Region::All, &[s.before.own.cur]);
            for scalar in ["rdy.head", "rdy.tail", "rdy.lo"] {
                may(scalar, Region::All, &[]);
            }
            // The last sleeper before it may belong to any CPU.
            for field in ["tcb", "tcb.next"] {
                may(field, Region::All, &[]);
            }
            may("syncchpool.lock", Region::All, &[q]);
            may("lock", Region::All, &[q + CHANNEL_LOCKS]);
            may("section", Region::All, &[]);
        },
    }
}

/// The running thread may sleep on the condition variable that is the first argument.
fn can_sleep<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let cv = a.words[0];
    cv < NUM_CV && holds_lock(v, cv + SLP_Q) && v.channels.lock_of(cv + SLP_Q).budget >= 2 && v.own.cur != v.own.cpu + 1
}

pub(crate) fn thread_yield<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::thread_yield(cpu, a.context).map(|resume| Answer::Resume(resume.into_context())),
        // The reference assumes that the captured registers are well typed.
        assumes: |_, a| a.context.ra < CONTINUATIONS,
        reference_requires: |v, a| hkpt_init(v, a) && v.own.ac.get([v.own.cur]).used.holds(),
        requires: in_kernel,
        ensures: |s| {
            let Answer::Resume(resume) = s.answer else { return false };
            let (yielded, next) = (s.before.own.cur, s.after.own.cur);
            let saved = s.after.own.kctxt.get([yielded]);
            saved.ra == s.arguments.context.ra
                && saved.esp == s.arguments.context.esp
                && resume.ra < CONTINUATIONS
                && resume.ra == s.after.own.kctxt.get([next]).ra
                && resume.esp == s.after.own.kctxt.get([next]).esp
                // First in, first out: the head of the ready queue runs next. If the queue is empty, the caller
                // continues (P4).
                && if s.before.own.ready.head != NO_THREAD { next == s.before.own.ready.head } else { true }
                && s.after.threads.tcb.get([next]).place == place::RUN
                // The first thread of the pending queue, woken by another CPU, is now ready or runs.
                && {
                    let (cpu, woken) = (s.before.own.cpu, s.any[0]);
                    woken >= NUM_PROC || {
                        let (before, after) = (s.before.threads.tcb.get([woken]), s.after.threads.tcb.get([woken]));
                        before.home != cpu
                            || before.place != cpu + MSG_Q
                            || before.prev != NO_THREAD
                            || after.place == cpu
                            || after.place == place::RUN
                    }
                }
                && (next == yielded || s.after.threads.tcb.get([yielded]).place == s.before.own.cpu)
        },
        events: |s, log| match log {
            [(Event::Yield { tid }, Out::Yield { next, .. })] => *tid == s.before.own.cur && *next == s.after.own.cur,
            _ => false,
        },
        modifies: |s, may| {
            may("cid", Region::All, &[]);
            may("kctxt", Region::All, &[s.before.own.cur]);
            for scalar in ["rdy.head", "rdy.tail", "rdy.lo", "rdy.hi"] {
                may(scalar, Region::All, &[]);
            }
            // The caller, the woken thread, the thread that runs now, and their neighbours in the queues.
            for field in ["tcb", "tcb.next"] {
                may(field, Region::Mine, &[]);
            }
        },
    }
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn get_CPU_ID<M: Spec>() -> Contract<M> {
    silent(|cpu, _| super::get_cpu_id(cpu).map(Answer::Word), hk, in_kernel, |s| s.answer.word() == s.before.own.cpu)
}

pub(crate) fn get_curid<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| super::get_curid(cpu).map(Answer::Word),
        |v, a| hk(v, a) && v.ghost.pg.holds(),
        in_kernel,
        |s| s.answer.word() == s.before.own.cur,
    )
}

/// The facts about the threads of a CPU.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 6] {
    [
        Fact { number: "H18", name: "valid_curid", class: Class::High, keys: &[], holds: |v, _| v.own.cur < NUM_PROC },
        Fact {
            number: "L3",
            name: "kctxt has a continuation",
            class: Class::Low,
            keys: &[("kctxt", &[0])],
            holds: |v, k| {
                let place = v.threads.tcb.get([k[0]]).place;
                !v.is_mine(k[0]) || place == place::RUN || v.own.kctxt.get([k[0]]).ra < CONTINUATIONS
            },
        },
        Fact {
            number: "D4.1",
            name: "the running thread runs",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| {
                !v.ghost.init.holds()
                    || (v.own.cur < NUM_PROC
                        && v.is_mine(v.own.cur)
                        && v.threads.tcb.get([v.own.cur]).place == place::RUN
                        && v.own.ac.get([v.own.cur]).used.holds())
            },
        },
        Fact {
            number: "D4.2",
            name: "no other thread runs here",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || k[0] == v.own.cur
                    || !v.is_mine(k[0])
                    || v.threads.tcb.get([k[0]]).place != place::RUN
            },
        },
        Fact {
            number: "D4.3",
            name: "nothing runs before sched_init",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| {
                v.ghost.init.holds()
                    || if k[0] == v.own.cpu + 1 {
                        v.is_mine(k[0]) && v.threads.tcb.get([k[0]]).place == place::RUN
                    } else {
                        !v.is_mine(k[0])
                    }
            },
        },
        Fact {
            number: "D4.7",
            name: "the main thread runs or is ready",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| {
                let place = v.threads.tcb.get([v.own.cpu + 1]).place;
                place == place::RUN || place == v.ready_id()
            },
        },
    ]
}
