//! `send` and `recv`: messages by way of channels (reference, sections 8.1, 8.2 and 10.4).
//!
//! A channel has room for a message, or it has one, which its `busy` word says ([`FILLED`]; P29). Who has to wait sleeps
//! on it, senders and receivers in one queue. Whenever the word changes, all who sleep are woken, and each begins again:
//! so nobody sleeps while there is something for him to do, whichever of them is the first to have the lock.
use crate::memory::{Reserved, page, reserve};
use crate::mode::is_kernel;
use crate::next::Next;
use crate::registers::{FIRST, FOURTH, SECOND, THIRD, answer, argument, back};
use crate::stage::{Stage, is_main, sleep};
use crate::system::System;
use crate::unchecked::Address;
use abi::{CHANNELS, Error};
use layer::channel::{
    Cv, acquire_lock_chan, get_sync_chan_busy, ipc_receive_body, ipc_send_body, release_lock_chan, set_sync_chan_busy,
};
use layer::constants::{MAX_WORDS, NUM_CV, NUM_PROC, perm};
use layer::invariant::View;
use layer::machine::{Machine, Spec};
use layer::process::proc_start_user2;
use layer::state::Cpu;
use layer::stuck::Stuck;
use layer::thread::{get_curid, thread_wakeup};

/// The `busy` word of a channel that has room.
pub(crate) const FREE: u32 = 0;
/// The `busy` word of a channel that has a message. What the reference has between the two, a channel that is reserved
/// for a sender (1), is never seen: who finds room fills it before it gives the lock back.
pub(crate) const FILLED: u32 = 2;

const _: () = assert!(abi::MESSAGE_WORDS == MAX_WORDS);

/// Those who sleep on a condition variable are being woken. It cannot be copied and must be used up.
#[must_use]
#[derive(Debug)]
pub struct Wake<M: Machine> {
    /// The condition variable.
    pub cv: M::Word,
    /// How many of them there can be left.
    pub left: M::Word,
    /// What the running thread goes on with.
    pub then: Stage,
}

impl<M: Spec> Wake<M> {
    /// What a step counts on beside the invariant: the kernel runs, and there is such a condition variable.
    pub fn ready(&self, view: &View<'_, M>) -> bool {
        is_kernel(view) && self.cv < NUM_CV
    }
}

/// Wakes one thread; when there is none left, the running thread goes on.
///
/// # Errors
/// None in a state in which the wake-up is [ready](Wake::ready).
pub fn wake_step<M: System>(cpu: &mut Cpu<'_, M>, wake: Wake<M>) -> Result<Next<M>, Stuck> {
    let Wake { cv, left, then } = wake;
    if left == 0 || thread_wakeup(cpu, Cv(cv))? == 0 {
        return Ok(Next::GoOn(then));
    }
    Ok(Next::Wake(Wake { cv, left: left - 1, then }))
}

/// All who sleep on `cv` now are woken. They are at most so many as there are threads, and who comes later is behind them in
/// the queue and has seen why they are woken.
///
/// Mostly it is nobody, or one: the first two are woken at once, and the others step by step.
#[inline(always)]
fn wake_all<M: System>(cpu: &mut Cpu<'_, M>, cv: Cv<M>) -> Result<Next<M>, Stuck> {
    if thread_wakeup(cpu, cv)? == 0 || thread_wakeup(cpu, cv)? == 0 {
        return Ok(Next::ToUser(proc_start_user2(cpu)?));
    }
    Ok(Next::Wake(Wake { cv: cv.0, left: M::Word::from(NUM_PROC) - 2, then: Stage::StartUser }))
}

/// The arguments of both calls, checked as far as they can be without a look at the page map.
struct Message<M: System> {
    /// The channel, by its condition variable.
    cv: Cv<M>,
    /// Where the caller has its page, if it has one there.
    page: Address<M>,
    /// Words, as many as the caller wants.
    words: M::Word,
}

/// The arguments of the running thread. The main thread of a CPU, which must not wait, has none.
#[inline(always)]
fn message<M: System>(cpu: &Cpu<'_, M>) -> Result<Result<Message<M>, Error>, Stuck> {
    if is_main(cpu)? {
        return Ok(Err(Error::Ipc));
    }
    let (channel, address) = (argument(cpu, FIRST)?, argument(cpu, SECOND)?);
    let words = argument(cpu, THIRD)?.any();
    let Some(channel) = channel.below(CHANNELS) else {
        return Ok(Err(Error::InvalChid));
    };
    let Some(page) = Address::in_window(address) else {
        return Ok(Err(Error::InvalAddr));
    };
    if page.offset() != 0 {
        return Ok(Err(Error::InvalAddr));
    }
    Ok(Ok(Message { cv: Cv(channel), page, words }))
}

/// Takes the lock of the channel, and says which permission the caller has for its page: 0 where none is mapped.
///
/// Under the lock, so that the compiler makes one walk of this one and of the copy's.
#[inline(always)]
fn enter<M: System>(cpu: &mut Cpu<'_, M>, message: &Message<M>) -> Result<M::Word, Stuck> {
    acquire_lock_chan(cpu, message.cv.channel())?;
    let cur = get_curid(cpu)?;
    Ok(page(cpu, cur, &message.page)?.map_or(0.into(), |page| page.permission))
}

/// What a call does that cannot use its page with the `permission` that it has: the kernel's pages are not for programs, nor their
/// own constants to write. A page that the program has not touched yet is reserved, as its own access would have done, and
/// the call begins again.
#[cold]
#[inline(never)]
fn cannot_use<M: System>(
    cpu: &mut Cpu<'_, M>,
    message: Message<M>,
    permission: M::Word,
    stage: Stage,
) -> Result<Next<M>, Stuck> {
    release_lock_chan(cpu, message.cv.channel())?;
    if permission != 0 {
        return back(cpu, Err(Error::InvalAddr));
    }
    let cur = get_curid(cpu)?;
    match reserve(cpu, cur, &message.page, perm::PTU)? {
        Reserved::Fresh => Ok(Next::GoOn(stage)),
        Reserved::Exhausted => back(cpu, Err(Error::Mem)),
        // It was not, and only this thread could have it mapped.
        Reserved::Mapped => back(cpu, Err(Error::InvalAddr)),
    }
}

/// `send(channel, address, words) -> words`, from the beginning.
///
/// # Errors
/// None in kernel mode, for any arguments.
pub(crate) fn send<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let message = match message(cpu)? {
        Ok(message) => message,
        Err(error) => return back(cpu, Err(error)),
    };
    let permission = enter(cpu, &message)?;
    if permission != perm::PTU && permission != perm::PTUR {
        return cannot_use(cpu, message, permission, Stage::Send);
    }
    let channel = message.cv.channel();
    if get_sync_chan_busy(cpu, channel)? == FILLED {
        return sleep(cpu, message.cv, Stage::Send);
    }
    let sent = ipc_send_body(cpu, channel, message.page.word(), message.words)?;
    set_sync_chan_busy(cpu, channel, FILLED.into())?;
    release_lock_chan(cpu, channel)?;
    answer(cpu, Ok(sent))?;
    wake_all(cpu, message.cv)
}

/// `recv(channel, address, words, wait) -> words`, from the beginning.
///
/// # Errors
/// None in kernel mode, for any arguments.
pub(crate) fn receive<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let message = match message(cpu)? {
        Ok(message) => message,
        Err(error) => return back(cpu, Err(error)),
    };
    let permission = enter(cpu, &message)?;
    if permission != perm::PTU {
        return cannot_use(cpu, message, permission, Stage::Receive);
    }
    let channel = message.cv.channel();
    if get_sync_chan_busy(cpu, channel)? != FILLED {
        if !argument(cpu, FOURTH)?.is(0) {
            return sleep(cpu, message.cv, Stage::Receive);
        }
        release_lock_chan(cpu, channel)?;
        return back(cpu, Err(Error::Ipc));
    }
    let received = ipc_receive_body(cpu, channel, message.page.word(), message.words)?;
    set_sync_chan_busy(cpu, channel, FREE.into())?;
    release_lock_chan(cpu, channel)?;
    answer(cpu, Ok(received))?;
    wake_all(cpu, message.cv)
}
