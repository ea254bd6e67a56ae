//! The specification of channels: contracts of 19 to 24 and of the internal functions of 23 and 24, and facts.
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::objects::channel::pool::{Channel, Channels};
use crate::objects::mode::spec::{hkpt, hkpt_init, in_kernel};
use crate::objects::page_copy::spec::has_data_page;
use crate::objects::page_table::spec::mapped;
use crate::spec::contract::{Cells, Contract, Logged, Region, Transition, no_events, silent};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Flag, Map};

/// This CPU holds the lock of channel `q`.
pub(crate) fn holds_lock<M: Spec>(v: &View<'_, M>, q: M::Word) -> bool {
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

/// Like [`of_held`], and the critical section may log one more event.
fn of_held_with_budget<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    of_held(v, a) && v.channels.lock_of(a.words[0]).budget >= 1
}

/// Of the control block of `q`, only `count` and `busy` may have changed; they have these values.
fn control<M: Spec>(s: &Transition<'_, M>, q: M::Word, count: M::Word, busy: M::Word) -> bool {
    let (before, after) = (s.before.channels.pool.get([q]), s.after.channels.pool.get([q]));
    after.to == before.to && after.senderpaddr == before.senderpaddr && after.count == count && after.busy == busy
}

/// The lock of `q` was released.
pub(crate) fn given_back<M: Spec>(s: &Transition<'_, M>, q: M::Word) -> bool {
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

/// If this CPU held the lock of channel `q` before the call, no other CPU has changed the channel. Stated about byte
/// `byte` of its mailbox. It is written out, so that a rely condition that says less (`Channels::rely`) is noticed here.
fn is_kept<M: Spec>(s: &Transition<'_, M>, q: M::Word, byte: M::Word) -> bool {
    if q >= NUM_CHAN || byte >= PAGE_SIZE || !holds_lock(&s.before, q) {
        return true;
    }
    let [before, after] = [&s.before, &s.after].map(|v| v.channels);
    let (lock, lock_after) = (before.lock_of(q), after.lock_of(q));
    let (block, block_after) = (before.pool.get([q]), after.pool.get([q]));
    let defined = |channels: &Channels<M>| M::present(&channels.ghost).defined.get([q, byte]).defined.holds();
    lock_after.holder == lock.holder
        && lock_after.budget == lock.budget
        && lock_after.words == lock.words
        && block_after.to == block.to
        && block_after.senderpaddr == block.senderpaddr
        && block_after.count == block.count
        && block_after.busy == block.busy
        && after.mailbox.get([q, byte]).value == before.mailbox.get([q, byte]).value
        && defined(after) == defined(before)
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn acquire_lock_CHAN<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::acquire_lock_chan(cpu, Channel(a.words[0])).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt_init(v, a) && is_free(v, a),
        requires: |v, a| in_kernel(v, a) && is_free(v, a),
        ensures: |s| {
            let q = s.arguments.words[0];
            let lock = s.after.channels.lock_of(q);
            lock.holder == s.before.own.cpu
                && lock.budget == LOCK_BOUND - 1
                && holds_lock(&s.after, q)
                && (s.before.ghost.section != NO_CHANNEL || s.after.ghost.section == q)
                && is_kept(s, s.any[0], s.any[1])
        },
        events: |s, log| match log {
            [(Event::Wait { tid, channel, budget }, _), (Event::Get { tid: again, channel: same }, _)] => {
                let (cur, q) = (s.before.own.cur, s.arguments.words[0]);
                *tid == cur && *again == cur && *channel == q && *same == q && *budget == LOCK_BOUND
            }
            _ => false,
        },
        modifies: |s, may| {
            may("syncchpool.lock", Region::All, &[s.arguments.words[0]]);
            may("lock", Region::All, &[s.arguments.words[0] + CHANNEL_LOCKS]);
            may("section", Region::All, &[]);
        },
    }
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn release_lock_CHAN<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::release_lock_chan(cpu, Channel(a.words[0])).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let q = a.words[0];
            hkpt_init(v, a) && holds_lock(v, q) && v.channels.lock_of(q).budget >= 1
        },
        requires: of_held_with_budget,
        ensures: |s| given_back(s, s.arguments.words[0]),
        events: |s, log| match log {
            [(Event::Release { tid, channel, to, senderpaddr, count, busy }, _)] => {
                let block = SyncChannel { to: *to, senderpaddr: *senderpaddr, count: *count, busy: *busy };
                *tid == s.before.own.cur && *channel == s.arguments.words[0] && is_control(s, *channel, block)
            }
            _ => false,
        },
        modifies: |s, may| {
            may("syncchpool.lock", Region::All, &[s.arguments.words[0]]);
            may("lock", Region::All, &[s.arguments.words[0] + CHANNEL_LOCKS]);
            may("section", Region::All, &[]);
        },
    }
}

pub(crate) fn get_sync_chan_busy<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::get_sync_chan_busy(cpu, Channel(a.words[0])).map(Answer::Word),
        |v, a| hkpt(v, a) && holds_lock(v, a.words[0]),
        of_held,
        |s| s.answer.word() == s.before.channels.pool.get([s.arguments.words[0]]).busy,
    )
}

pub(crate) fn set_sync_chan_busy<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::set_sync_chan_busy(cpu, Channel(a.words[0]), a.words[1]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt(v, a) && holds_lock(v, a.words[0]),
        requires: of_held,
        ensures: |s| {
            let [q, v, ..] = s.arguments.words;
            control(s, q, s.before.channels.pool.get([q]).count, v)
        },
        events: no_events,
        modifies: |s, may| may("syncchpool", Region::Leaf("busy"), &[s.arguments.words[0]]),
    }
}

/// The running thread has a data page of its own at `va`, and `va` is page-aligned.
fn has_page<M: Spec>(v: &View<'_, M>, va: M::Word) -> bool {
    has_data_page(v, v.own.cur, va)
}

/// Like [`has_page`], and programs may write to the page.
fn has_writable_page<M: Spec>(v: &View<'_, M>, va: M::Word) -> bool {
    has_page(v, va) && matches!(mapped(v, v.own.cur, va), Some((_, perm)) if perm != perm::PTUR)
}

/// Byte `any[0]`, if it is in the first `k` words, is the same in the page at `va` and in the mailbox of `q`, in the
/// state `at`.
fn same_message<M: Spec>(s: &Transition<'_, M>, at: &View<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
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

/// The first `k` words of the page at `va` became the message of `q`. The mailbox behind them is as it was.
fn sent<M: Spec>(s: &Transition<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
    let (before, after) = (s.before.channels.lock_of(q), s.after.channels.lock_of(q));
    let byte = s.any[0];
    let is_kept = || {
        let defined = |at: &View<'_, M>| M::present(&at.channels.ghost).defined.get([q, byte]).defined.holds();
        s.after.channels.mailbox.get([q, byte]).value == s.before.channels.mailbox.get([q, byte]).value
            && defined(&s.after) == defined(&s.before)
    };
    after.words == k
        && after.budget + 1 == before.budget
        && same_message(s, &s.after, q, k, va)
        && (is_in_message::<M>(byte, k) || is_kept())
}

/// Byte `byte` of a page, or no byte of it, is in the first `k` words.
fn is_in_message<M: Spec>(byte: M::Word, k: M::Word) -> bool {
    byte >= PAGE_SIZE || byte < k * WORD_SIZE
}

/// The cells that sending a message to the mailbox of `q` may write.
fn message<M: Spec>(q: M::Word, may: Cells<'_, M>) {
    may("mailbox", Region::All, &[q]);
    may("mailbox.defined", Region::All, &[q]);
    may("syncchpool.lock", Region::Leaf("budget"), &[q]);
    may("syncchpool.lock", Region::Leaf("words"), &[q]);
}

/// The first `k` words of the message of `q` were copied to the page at `va`. The page behind them is as it was.
fn received<M: Spec>(s: &Transition<'_, M>, q: M::Word, k: M::Word, va: M::Word) -> bool {
    let byte = s.any[0];
    let is_kept = || match mapped(&s.before, s.before.own.cur, va) {
        Some((page, _)) => {
            s.after.own.hp.get([page, byte]).value == s.before.own.hp.get([page, byte]).value
                && s.after.ghost.hp_defined.get([page, byte]).defined.holds()
                    == s.before.ghost.hp_defined.get([page, byte]).defined.holds()
        }
        None => true,
    };
    (k == 0 || same_message(s, &s.after, q, k, va)) && (is_in_message::<M>(byte, k) || is_kept())
}

/// The cells that receiving a message may write.
fn reception<M: Spec>(s: &Transition<'_, M>, va: M::Word, may: Cells<'_, M>) {
    if let Some((page, _)) = mapped(&s.before, s.before.own.cur, va) {
        may("HP", Region::All, &[page]);
        may("HP.defined", Region::All, &[page]);
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
        run: |cpu, a| super::page_copy(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [q, k, va, _] = a.words;
            k <= MAX_WORDS && holds_lock(v, q) && v.channels.lock_of(q).budget >= 1 && has_page(v, va)
        },
        requires: |v, a| {
            let [q, k, va, _] = a.words;
            // The words that are still to be received must be in the mailbox afterwards as well.
            of_held_with_budget(v, a) && k <= MAX_WORDS && has_page(v, va) && v.channels.pool.get([q]).count <= k
        },
        ensures: |s| {
            let [q, k, va, _] = s.arguments.words;
            sent(s, q, k, va)
        },
        events: |s, log| is_message(s, log, s.arguments.words[1]),
        modifies: |s, may| message::<M>(s.arguments.words[0], may),
    }
}

pub(crate) fn page_copy_back<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::page_copy_back(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [q, k, va, _] = a.words;
            can_receive(v, q, k, va)
        },
        requires: |v, a| {
            let [q, k, va, _] = a.words;
            in_kernel(v, a) && can_receive(v, q, k, va)
        },
        ensures: |s| {
            let [q, k, va, _] = s.arguments.words;
            received(s, q, k, va)
        },
        events: no_events,
        modifies: |s, may| reception(s, s.arguments.words[2], may),
    }
}

pub(crate) fn ipc_send_body<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::ipc_send_body(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [q, va, ..] = a.words;
            hkpt_init(v, a) && holds_lock(v, q) && v.channels.lock_of(q).budget >= 1 && has_page(v, va)
        },
        requires: |v, a| of_held_with_budget(v, a) && has_page(v, a.words[1]),
        ensures: |s| {
            let [q, va, n, _] = s.arguments.words;
            let k = s.answer.word();
            (if n < MAX_WORDS { k == n } else { k == MAX_WORDS })
                && sent(s, q, k, va)
                && control(s, q, k, s.before.channels.pool.get([q]).busy)
        },
        events: |s, log| is_message(s, log, s.answer.word()),
        modifies: |s, may| {
            message::<M>(s.arguments.words[0], &mut *may);
            may("syncchpool", Region::Leaf("count"), &[s.arguments.words[0]]);
        },
    }
}

pub(crate) fn ipc_receive_body<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::ipc_receive_body(cpu, Channel(a.words[0]), a.words[1], a.words[2]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [q, va, n, _] = a.words;
            hkpt_init(v, a) && holds_lock(v, q) && can_receive(v, q, to_receive(v, q, n), va)
        },
        requires: |v, a| {
            let [q, va, n, _] = a.words;
            of_held(v, a) && (to_receive(v, q, n) == 0 || has_writable_page(v, va))
        },
        ensures: |s| {
            let [q, va, n, _] = s.arguments.words;
            let k = s.answer.word();
            k == to_receive(&s.before, q, n)
                && received(s, q, k, va)
                && control(s, q, 0.into(), s.before.channels.pool.get([q]).busy)
        },
        events: no_events,
        modifies: |s, may| {
            reception(s, s.arguments.words[1], &mut *may);
            may("syncchpool", Region::Leaf("count"), &[s.arguments.words[0]]);
        },
    }
}

/// The published control block is the one of `q` in the state after the call.
pub(crate) fn is_control<M: Spec>(s: &Transition<'_, M>, q: M::Word, block: SyncChannel<M>) -> bool {
    let control = s.after.channels.pool.get([q]);
    control.to == block.to
        && control.senderpaddr == block.senderpaddr
        && control.count == block.count
        && control.busy == block.busy
}

/// A message of `k` words was put into the mailbox of the channel that is the first argument.
fn is_message<M: Spec>(s: &Transition<'_, M>, log: &Logged<M>, k: M::Word) -> bool {
    match log {
        [(Event::Buffer { tid, channel, words }, _)] => {
            *tid == s.before.own.cur && *channel == s.arguments.words[0] && *words == k
        }
        _ => false,
    }
}

/// The facts about channels and their locks.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 5] {
    [
        Fact {
            number: "D5.1",
            name: "what this CPU holds is the lock of a channel",
            class: Class::Derived,
            keys: &[("lock", &[0])],
            holds: |v, k| match v.ghost.lock.get([k[0]]) {
                LockState::Free => true,
                LockState::Own { pulled } => {
                    v.ghost.init.holds()
                        && pulled.holds()
                        && k[0] >= CHANNEL_LOCKS
                        && v.channels.lock_of(k[0] - CHANNEL_LOCKS).holder == v.own.cpu
                }
            },
        },
        Fact {
            number: "D5.2",
            name: "a channel that this CPU has is held",
            class: Class::Derived,
            keys: Channels::<M>::KEYS,
            holds: |v, k| {
                v.channels.lock_of(k[0]).holder != v.own.cpu
                    || matches!(v.ghost.lock.get([k[0] + CHANNEL_LOCKS]), LockState::Own { .. })
            },
        },
        Fact {
            number: "D5.3",
            name: "this CPU holds no lock but that of its section",
            class: Class::Derived,
            keys: &[("lock", &[0])],
            holds: |v, k| {
                let section = v.ghost.section;
                section == SOME_CHANNELS
                    || (section < NUM_CHAN && k[0] == section + CHANNEL_LOCKS)
                    || matches!(v.ghost.lock.get([k[0]]), LockState::Free)
            },
        },
        Fact {
            number: "D15.1",
            name: "what is to be received is in the mailbox",
            class: Class::Derived,
            keys: Channels::<M>::KEYS,
            holds: |v, k| v.channels.lock_invariant(k[0]),
        },
        Fact {
            number: "D15.2",
            name: "messages are defined",
            class: Class::Derived,
            keys: Channels::<M>::MAIL,
            holds: |v, k| v.channels.mail_lock_invariant(k[0], k[1]),
        },
    ]
}
