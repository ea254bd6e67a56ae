//! Contracts of channels, sleep and wake-up: 6, 8, 19 to 24 and the internal functions of 23 and 24.
use super::page_copy::has_data_page;
use super::page_table::mapped;
use super::{Answer, Arguments, Cells, Contract, Step, hkpt, hkpt_init, in_kernel, silent};
use crate::channel::{self, Channel, Cv};
use crate::constants::*;
use crate::fields::*;
use crate::invariant::View;
use crate::machine::Spec;
use crate::thread;
use domain::{Flag, Map};

/// This CPU holds the lock of channel `q`.
fn holds_lock<M: Spec>(v: &View<'_, M>, q: M::Word) -> bool {
    q < NUM_CHAN
        && match v.ghost.lock.get([q + CHANNEL_LOCKS]) {
            LockState::Own { pulled } => pulled.holds(),
            LockState::Free => false,
        }
}

/// The first argument is a channel whose lock this CPU does not hold.
fn is_free<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let q = a.words[0];
    q < NUM_CHAN && matches!(v.ghost.lock.get([q + CHANNEL_LOCKS]), LockState::Free)
}

/// The first argument is a channel whose lock this CPU holds, in the kernel.
fn of_held<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && holds_lock(v, a.words[0])
}

/// As [`of_held`], and the critical section may have one more event.
fn of_held_with_budget<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    of_held(v, a) && v.channels.lock_of(a.words[0]).budget >= 1
}

/// Of the control block of `q`, only `count` and `busy` may have changed; they have these values.
fn control<M: Spec>(s: &Step<'_, M>, q: M::Word, count: M::Word, busy: M::Word) -> bool {
    let (before, after) = (s.before.channels.pool.get([q]), s.after.channels.pool.get([q]));
    after.to == before.to && after.senderpaddr == before.senderpaddr && after.count == count && after.busy == busy
}

/// The lock of `q` was released.
fn given_back<M: Spec>(s: &Step<'_, M>, q: M::Word) -> bool {
    let lock = s.after.channels.lock_of(q);
    let before = s.before.channels.pool.get([q]);
    lock.holder == TOTAL_CPU
        && lock.budget == 0
        && lock.words == s.before.channels.lock_of(q).words
        && matches!(s.after.ghost.lock.get([q + CHANNEL_LOCKS]), LockState::Free)
        && {
            let (section, before) = (s.after.ghost.section, s.before.ghost.section);
            if before == q { section == NO_CHANNEL } else { section == before }
        }
        && control(s, q, before.count, before.busy)
}

pub(crate) fn thread_wakeup<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| thread::thread_wakeup(cpu, Cv(a.words[0])).map(Answer::Word),
        premise: |_, _| true,
        guard: |v, a| hkpt_init(v, a) && a.words[0] < NUM_CV,
        requires: |v, a| in_kernel(v, a) && a.words[0] < NUM_CV,
        promise: |s| {
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
        frame: |_, may| {
            for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
                may(scalar, "", &[]);
            }
            // A sleeper may belong to any CPU. That the write stays within other CPUs' rely conditions is a theorem of
            // its own.
            for field in ["tcb", "tcb.next"] {
                may(field, "", &[]);
            }
        },
    }
}

pub(crate) fn thread_sleep<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| {
            thread::thread_sleep(cpu, Cv(a.words[0]), a.context).map(|resume| Answer::Resume(resume.into_context()))
        },
        // The reference grants that the captured registers are well typed.
        premise: |_, a| a.context.ra < STAGES,
        guard: |v, a| {
            can_sleep(v, a)
                && hkpt_init(v, a)
                && v.own.cur > 0
                && v.own.ac.get([v.own.cur]).used.holds()
                && v.own.ready.head != NO_THREAD
        },
        // The running thread and the main thread always are this CPU's (D4.1, D4.7). Naming them here makes the prover
        // instantiate the facts about them: no other clause does.
        requires: |v, a| in_kernel(v, a) && v.is_mine(v.own.cur) && v.is_mine(v.own.cpu + 1) && can_sleep(v, a),
        promise: |s| {
            let Answer::Resume(resume) = s.answer else { return false };
            let (slept, next, q) = (s.before.own.cur, s.after.own.cur, s.arguments.words[0] + SLP_Q);
            let saved = s.after.own.kctxt.get([slept]);
            saved.ra == s.arguments.context.ra
                && saved.esp == s.arguments.context.esp
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
        frame: |s, may| {
            let q = s.arguments.words[0] + SLP_Q;
            may("cid", "", &[]);
            may("kctxt", "", &[s.before.own.cur]);
            for scalar in ["rdy.head", "rdy.tail", "rdy.lo"] {
                may(scalar, "", &[]);
            }
            // The last sleeper before it may belong to any CPU.
            for field in ["tcb", "tcb.next"] {
                may(field, "", &[]);
            }
            may("syncchpool.lock", "", &[q]);
            may("lock", "", &[q + CHANNEL_LOCKS]);
            may("section", "", &[]);
        },
    }
}

/// The running thread may sleep on the condition variable that is the first argument.
fn can_sleep<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let cv = a.words[0];
    cv < NUM_CV && holds_lock(v, cv + SLP_Q) && v.channels.lock_of(cv + SLP_Q).budget >= 2 && v.own.cur != v.own.cpu + 1
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn acquire_lock_CHAN<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::acquire_lock_chan(cpu, Channel(a.words[0])).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: |v, a| hkpt_init(v, a) && is_free(v, a),
        requires: |v, a| in_kernel(v, a) && is_free(v, a),
        promise: |s| {
            let q = s.arguments.words[0];
            let lock = s.after.channels.lock_of(q);
            lock.holder == s.before.own.cpu
                && lock.budget == LOCK_BOUND - 1
                && holds_lock(&s.after, q)
                && (s.before.ghost.section != NO_CHANNEL || s.after.ghost.section == q)
        },
        frame: |s, may| {
            may("syncchpool.lock", "", &[s.arguments.words[0]]);
            may("lock", "", &[s.arguments.words[0] + CHANNEL_LOCKS]);
            may("section", "", &[]);
        },
    }
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn release_lock_CHAN<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::release_lock_chan(cpu, Channel(a.words[0])).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: |v, a| {
            let q = a.words[0];
            hkpt_init(v, a) && holds_lock(v, q) && v.channels.lock_of(q).budget >= 1
        },
        requires: of_held_with_budget,
        promise: |s| given_back(s, s.arguments.words[0]),
        frame: |s, may| {
            may("syncchpool.lock", "", &[s.arguments.words[0]]);
            may("lock", "", &[s.arguments.words[0] + CHANNEL_LOCKS]);
            may("section", "", &[]);
        },
    }
}

pub(crate) fn get_sync_chan_busy<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| channel::get_sync_chan_busy(cpu, Channel(a.words[0])).map(Answer::Word),
        |v, a| hkpt(v, a) && holds_lock(v, a.words[0]),
        of_held,
        |s| s.answer.word() == s.before.channels.pool.get([s.arguments.words[0]]).busy,
    )
}

pub(crate) fn set_sync_chan_busy<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::set_sync_chan_busy(cpu, Channel(a.words[0]), a.words[1]).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: |v, a| hkpt(v, a) && holds_lock(v, a.words[0]),
        requires: of_held,
        promise: |s| {
            let [q, v, ..] = s.arguments.words;
            control(s, q, s.before.channels.pool.get([q]).count, v)
        },
        frame: |s, may| may("syncchpool", "busy", &[s.arguments.words[0]]),
    }
}

/// The running thread has a data page of its own at `va`, and `va` is page-aligned.
fn has_page<M: Spec>(v: &View<'_, M>, va: M::Word) -> bool {
    has_data_page(v, v.own.cur, va)
}

/// As [`has_page`], and the page is not read-only for programs.
fn has_writable_page<M: Spec>(v: &View<'_, M>, va: M::Word) -> bool {
    has_page(v, va) && matches!(mapped(v, v.own.cur, va), Some((_, perm)) if perm != perm::PTUR)
}

/// Byte `any[0]`, if in the first `k` words, is the same in the page at `va` and in the mailbox of `q`, in the state
/// `at`.
fn same_message<M: Spec>(s: &Step<'_, M>, at: &View<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
    let byte = s.any[0];
    byte >= PAGE_SIZE
        || byte >= k * WORD_SIZE
        || match mapped(&s.before, s.before.own.cur, va) {
            Some((page, _)) => {
                at.own.hp.get([page, byte]).value == at.channels.mailbox.get([q, byte]).value
                    && at.ghost.hp_defined.get([page, byte]).defined.holds()
                        == M::present(&at.channels.ghost).defined.get([q, byte]).defined.holds()
            }
            None => false,
        }
}

/// The first `k` words of the page at `va` became the message of `q`.
fn sent<M: Spec>(s: &Step<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
    let (before, after) = (s.before.channels.lock_of(q), s.after.channels.lock_of(q));
    after.words == k && after.budget + 1 == before.budget && same_message(s, &s.after, q, k, va)
}

/// The cells that sending a message to the mailbox of `q` may write.
fn message<M: Spec>(q: M::Word, may: Cells<'_, M>) {
    may("mailbox", "", &[q]);
    may("mailbox.defined", "", &[q]);
    may("syncchpool.lock", "budget", &[q]);
    may("syncchpool.lock", "words", &[q]);
}

/// The first `k` words of the message of `q` were copied to the page at `va`.
fn received<M: Spec>(s: &Step<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
    k == 0 || same_message(s, &s.after, q, k, va)
}

/// The cells that receiving a message may write.
fn reception<M: Spec>(s: &Step<'_, M>, va: M::Word, may: Cells<'_, M>) {
    if let Some((page, _)) = mapped(&s.before, s.before.own.cur, va) {
        may("HP", "", &[page]);
        may("HP.defined", "", &[page]);
    }
}

/// This CPU holds the lock of channel `q`, and `k` words of its message can be received at `va`.
fn can_receive<M: Spec>(v: &View<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
    holds_lock(v, q) && (k == 0 || (k <= MAX_WORDS && k <= v.channels.lock_of(q).words && has_writable_page(v, va)))
}

/// The number of words that a receiver of at most `n` words gets from the message of `q`.
fn to_receive<M: Spec>(v: &View<'_, M>, q: M::Word, n: M::Word) -> M::Word {
    let count = v.channels.pool.get([q]).count;
    if count < n { count } else { n }
}

pub(crate) fn page_copy<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::page_copy(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: |v, a| {
            let [q, k, va, _] = a.words;
            k <= MAX_WORDS && holds_lock(v, q) && v.channels.lock_of(q).budget >= 1 && has_page(v, va)
        },
        requires: |v, a| {
            let [q, k, va, _] = a.words;
            // The words that are still to be received must be in the mailbox afterwards as well.
            of_held_with_budget(v, a) && k <= MAX_WORDS && has_page(v, va) && v.channels.pool.get([q]).count <= k
        },
        promise: |s| {
            let [q, k, va, _] = s.arguments.words;
            sent(s, q, k, va)
        },
        frame: |s, may| message::<M>(s.arguments.words[0], may),
    }
}

pub(crate) fn page_copy_back<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::page_copy_back(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: |v, a| {
            let [q, k, va, _] = a.words;
            can_receive(v, q, k, va)
        },
        requires: |v, a| {
            let [q, k, va, _] = a.words;
            in_kernel(v, a) && can_receive(v, q, k, va)
        },
        promise: |s| {
            let [q, k, va, _] = s.arguments.words;
            received(s, q, k, va)
        },
        frame: |s, may| reception(s, s.arguments.words[2], may),
    }
}

pub(crate) fn ipc_send_body<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::ipc_send_body(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(Answer::Word),
        premise: |_, _| true,
        guard: |v, a| {
            let [q, va, ..] = a.words;
            hkpt_init(v, a) && holds_lock(v, q) && v.channels.lock_of(q).budget >= 1 && has_page(v, va)
        },
        requires: |v, a| of_held_with_budget(v, a) && has_page(v, a.words[1]),
        promise: |s| {
            let [q, va, n, _] = s.arguments.words;
            let k = s.answer.word();
            (if n < MAX_WORDS { k == n } else { k == MAX_WORDS })
                && sent(s, q, k, va)
                && control(s, q, k, s.before.channels.pool.get([q]).busy)
        },
        frame: |s, may| {
            message::<M>(s.arguments.words[0], &mut *may);
            may("syncchpool", "count", &[s.arguments.words[0]]);
        },
    }
}

pub(crate) fn ipc_receive_body<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| channel::ipc_receive_body(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(Answer::Word),
        premise: |_, _| true,
        guard: |v, a| {
            let [q, va, n, _] = a.words;
            hkpt_init(v, a) && holds_lock(v, q) && can_receive(v, q, to_receive(v, q, n), va)
        },
        requires: |v, a| {
            let [q, va, n, _] = a.words;
            of_held(v, a) && (to_receive(v, q, n) == 0 || has_writable_page(v, va))
        },
        promise: |s| {
            let [q, va, n, _] = s.arguments.words;
            let k = s.answer.word();
            k == to_receive(&s.before, q, n)
                && received(s, q, k, va)
                && control(s, q, 0.into(), s.before.channels.pool.get([q]).busy)
        },
        frame: |s, may| {
            reception(s, s.arguments.words[1], &mut *may);
            may("syncchpool", "count", &[s.arguments.words[0]]);
        },
    }
}
