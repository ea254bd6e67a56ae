//! Synchronous channels: primitives 19 to 24.
//!
//! A channel has a control block and a mailbox for one message, both guarded by its lock. The lock is held across
//! primitives: 19 takes it, and 20 or [`thread_sleep`](crate::objects::thread::thread_sleep) releases it. The CPU that
//! holds it may call 21 to 24.
pub mod pool;
pub mod spec;

use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::log::{Event, Log};
use crate::core::machine::{ChannelPool, Machine};
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use crate::objects::channel::pool::{Channel, ChannelGhost};
use crate::objects::page_copy::data_frame;
use domain::{Flag, Ghost, Map};

/// The check that 20 to 24 begin with: `q` is a channel whose lock this CPU holds.
#[inline(always)]
#[track_caller]
pub(crate) fn require_held<M: Machine>(cpu: &Cpu<'_, M>, q: Channel<M>) -> Result<(), Stuck> {
    require(q.0 < NUM_CHAN, Stuck::BadChannel)?;
    let held = cpu.own.ghost.check(|g| match g.lock.get([q.lock()]) {
        LockState::Own { pulled } => pulled.holds(),
        LockState::Free => false,
    });
    require(held, Stuck::LockNotHeld)
}

/// Ghost check: the critical section of `q` may log at least `events` more events.
#[inline(always)]
#[track_caller]
pub(crate) fn require_budget<M: Machine>(cpu: &Cpu<'_, M>, q: Channel<M>, events: u32) -> Result<(), Stuck> {
    require(cpu.shared.channels.with(|channels| channels.has_budget(q, events)), Stuck::NoBudget)
}

/// 19 `acquire_lock_CHAN(q)`: waits for the lock of channel `q`. The critical section has a budget of [`LOCK_BOUND`]
/// events. The channel is then as the last holder of its lock left it.
///
/// Appends `WAIT(cur, 10)` and `GET(cur)` (P2).
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`]; [`Stuck::LockHeld`] if this CPU holds the lock.
#[inline]
pub fn acquire_lock_chan<M: Machine>(cpu: &mut Cpu<'_, M>, q: Channel<M>) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    require(q.0 < NUM_CHAN, Stuck::BadChannel)?;
    let own = &mut cpu.own;
    require(own.ghost.check(|g| matches!(g.lock.get([q.lock()]), LockState::Free)), Stuck::LockHeld)?;
    cpu.shared.channels.acquire(own.cpu, q.0);
    cpu.shared.channels.with(|channels| {
        channels.taken(own.cpu, q);
        channels.log.push(own.cpu, Event::Wait { tid: own.cur, channel: q.0, budget: LOCK_BOUND.into() });
        channels.spend(q);
        channels.log.push(own.cpu, Event::Get { tid: own.cur, channel: q.0 });
    });
    own.ghost.update(|g| {
        g.lock.set([q.lock()], LockState::Own { pulled: true.into() });
        g.section = if g.section == NO_CHANNEL { q.0 } else { SOME_CHANNELS.into() };
    });
    Ok(())
}

/// 20 `release_lock_CHAN(q)`: releases the lock of channel `q`.
///
/// Appends `REL(cur, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`], [`Stuck::LockNotHeld`]; [`Stuck::NoBudget`] if
/// the critical section's budget is used up.
#[inline]
pub fn release_lock_chan<M: Machine>(cpu: &mut Cpu<'_, M>, q: Channel<M>) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    require_held(cpu, q)?;
    require_budget(cpu, q, 1)?;
    let own = &mut cpu.own;
    cpu.shared.channels.with(|channels| {
        let SyncChannel { to, senderpaddr, count, busy } = channels.pool.get([q.0]);
        channels.log.push(own.cpu, Event::Release { tid: own.cur, channel: q.0, to, senderpaddr, count, busy });
        channels.given_back(q);
    });
    own.ghost.update(|g| g.leave(q));
    cpu.shared.channels.release(own.cpu, q.0);
    Ok(())
}

/// 21 `get_sync_chan_busy(q) -> u32`: the `busy` word of channel `q`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::BadChannel`], [`Stuck::LockNotHeld`].
#[inline]
pub fn get_sync_chan_busy<M: Machine>(cpu: &Cpu<'_, M>, q: Channel<M>) -> Result<M::Word, Stuck> {
    cpu.require_hkpt()?;
    require_held(cpu, q)?;
    Ok(cpu.shared.channels.with(|channels| channels.pool.get([q.0]).busy))
}

/// 22 `set_sync_chan_busy(q, v)`: sets the `busy` word of channel `q`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::BadChannel`], [`Stuck::LockNotHeld`].
#[inline]
pub fn set_sync_chan_busy<M: Machine>(cpu: &mut Cpu<'_, M>, q: Channel<M>, v: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    require_held(cpu, q)?;
    cpu.shared.channels.with(|channels| channels.pool.update([q.0], |control| control.busy = v));
    Ok(())
}

/// [`data_frame`] of the running thread (`kernel_pa`).
#[inline(always)]
#[track_caller]
fn message_frame<M: Machine>(cpu: &Cpu<'_, M>, va: M::Word) -> Result<(M::Word, M::Word), Stuck> {
    data_frame(cpu, cpu.own.cur, va)
}

/// Internal `page_copy`: makes the first `k` words of the running thread's page at `va` the message of channel `q`.
///
/// The reference requires here that each word is defined. This holds for every mapped page (D17), and an undefined
/// byte would stay undefined in the mailbox. Appends `BUFFER(cur, q, …)`.
///
/// # Errors [`Stuck::BadMessage`] for more than [`MAX_WORDS`] words, [`Stuck::LockNotHeld`], [`Stuck::NoBudget`],
/// [`Stuck::NotMapped`], [`Stuck::Misaligned`], [`Stuck::FrameNotOwned`], and the errors of
/// `pt_read`.
#[inline]
pub fn page_copy<M: Machine>(cpu: &mut Cpu<'_, M>, q: Channel<M>, k: M::Word, va: M::Word) -> Result<(), Stuck> {
    require(k <= MAX_WORDS, Stuck::BadMessage)?;
    require_held(cpu, q)?;
    require_budget(cpu, q, 1)?;
    // Equivalent mutants (`<`: true, off by one): the running thread's number is in range (H18).
    let (frame, _) = message_frame(cpu, va)?;
    let own = &cpu.own;
    cpu.shared.channels.with(|channels| {
        channels.mailbox.copy_first::<PhysicalMemory, _>(q.0, k * WORD_SIZE, &own.hp, frame);
        M::ghosts(&mut channels.ghost, &own.ghost, |ghost, own| {
            ghost.defined.copy_first::<DefinedMemory, _>(q.0, k * WORD_SIZE, &own.hp_defined, frame);
        });
        channels.log.push(own.cpu, Event::Buffer { tid: own.cur, channel: q.0, words: k });
        channels.spend(q);
        channels.ghost.update(|ghost| ghost.locks.update([q.0], |lock| lock.words = k));
    });
    Ok(())
}

/// Internal `page_copy_back`: copies the first `k` words of the message of channel `q` to the running thread's page at
/// `va`. If `k` is 0, it does not look at the page (P7).
///
/// # Errors
/// [`Stuck::BadMessage`] if the mailbox has fewer words, [`Stuck::NotMapped`], [`Stuck::Misaligned`],
/// [`Stuck::FrameNotOwned`], [`Stuck::BadPermission`] if a program may not write the page (P42), and the
/// errors of `pt_read`.
#[inline]
pub fn page_copy_back<M: Machine>(cpu: &mut Cpu<'_, M>, q: Channel<M>, k: M::Word, va: M::Word) -> Result<(), Stuck> {
    require_held(cpu, q)?;
    if k == 0 {
        return Ok(());
    }
    let holds_it = |ghost: &ChannelGhost<M>| k <= ghost.locks.get([q.0]).words;
    // Equivalent mutants (`<=`: true): no mailbox holds more (D15.1); with H alone, a copy of more than a page goes
    // out of range.
    require(k <= MAX_WORDS && cpu.shared.channels.with(|c| c.ghost.check(holds_it)), Stuck::BadMessage)?;
    // Equivalent mutants (`<`: true, off by one): the running thread's number is in range (H18).
    let (frame, perm) = message_frame(cpu, va)?;
    require(perm != perm::PTUR, Stuck::BadPermission)?;
    let own = &mut cpu.own;
    cpu.shared.channels.with(|channels| {
        own.hp.copy_first::<Mailboxes, _>(frame, k * WORD_SIZE, &channels.mailbox, q.0);
        M::ghosts(&mut own.ghost, &channels.ghost, |own, ghost| {
            // Equivalent mutants (write: lost): a page that is mapped is defined already (D17).
            // Equivalent mutants (`*`: first operand): a page that is mapped is defined already (D17).
            own.hp_defined.copy_first::<DefinedMail, _>(frame, k * WORD_SIZE, &ghost.defined, q.0);
        });
    });
    Ok(())
}

/// 23 `ipc_send_body(q, va, n) -> u32`: copies the first `min(n, MAX_WORDS)` words of the running thread's page at `va`
/// into the mailbox of channel `q`; they replace its message. Returns their number.
///
/// Appends `BUFFER(cur, q, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`], and the errors of
/// [`page_copy`].
#[inline]
pub fn ipc_send_body<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    q: Channel<M>,
    va: M::Word,
    n: M::Word,
) -> Result<M::Word, Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    require_held(cpu, q)?;
    // Equivalent mutants (`<`: off by one): if both are equal, it does not matter which one is taken.
    let k = if n < MAX_WORDS { n } else { MAX_WORDS.into() };
    page_copy(cpu, q, k, va)?;
    cpu.shared.channels.with(|channels| channels.pool.update([q.0], |control| control.count = k));
    Ok(k)
}

/// 24 `ipc_receive_body(q, va, n) -> u32`: copies the first words of the message of channel `q` to the running thread's
/// page at `va`. It copies `n` words, or all if there are fewer. The rest of the message is lost, and the channel
/// becomes empty. Returns their number.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`], [`Stuck::LockNotHeld`], and the
/// errors of [`page_copy_back`].
#[inline]
pub fn ipc_receive_body<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    q: Channel<M>,
    va: M::Word,
    n: M::Word,
) -> Result<M::Word, Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    require_held(cpu, q)?;
    let count = cpu.shared.channels.with(|channels| channels.pool.get([q.0]).count);
    // Equivalent mutants (`<`: off by one): if both are equal, it does not matter which one is taken.
    let k = if count < n { count } else { n };
    page_copy_back(cpu, q, k, va)?;
    cpu.shared.channels.with(|channels| channels.pool.update([q.0], |control| control.count = 0.into()));
    Ok(k)
}
