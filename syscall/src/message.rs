//! `send` and `recv`: messages through channels (reference, sections 8.1, 8.2 and 10.4).
//!
//! A channel either has room for a message or holds one, according to its `busy` word (`FILLED`; P29). A thread that
//! has to wait sleeps on the channel, senders and receivers in one queue. Whenever the word changes, all sleepers are
//! woken, and each begins its call again. So no thread sleeps while it could proceed, in whatever order the threads get
//! the lock.
use crate::continuation::{Continuation, is_main};
use crate::failure::Failure;
use crate::memory::{Reserved, page, reserve};
use crate::next::{Next, Wake, sleep};
use crate::registers::{FIRST, FOURTH, SECOND, THIRD, answer, argument, refuse};
use crate::system::System;
use crate::unchecked::Address;
use abi::{CHANNELS, Error};
use layer::core::constants::{MAX_WORDS, NUM_PROC, perm};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::channel::pool::Cv;
use layer::objects::channel::{
    acquire_lock_chan, get_sync_chan_busy, ipc_receive_body, ipc_send_body, release_lock_chan, set_sync_chan_busy,
};
use layer::objects::process::proc_start_user2;
use layer::objects::thread::{get_curid, thread_wakeup};

/// The `busy` word of a channel that has room.
const FREE: u32 = 0;
/// The `busy` word of a channel that has a message. The reference's state between the two, a channel reserved for a
/// sender (1), never occurs: a sender that finds room fills the channel before it releases the lock.
const FILLED: u32 = 2;

const _: () = assert!(abi::MESSAGE_WORDS == MAX_WORDS);

/// Wakes one thread. If none is left, the running thread continues.
///
/// # Errors
/// None in a state in which the wake-up is [ready](Wake::ready).
pub fn wake_step<M: System>(cpu: &mut Cpu<'_, M>, wake: Wake<M>) -> Result<Next<M>, Stuck> {
    let Wake { cv, left, then } = wake;
    // Equivalent mutants (`==`: false): where nobody sleeps, the steps that are left wake nobody either, and they are
    // counted.
    if left == 0 || thread_wakeup(cpu, Cv(cv))? == 0 {
        return Ok(Next::Continue(then));
    }
    Ok(Next::Wake(Wake { cv, left: left - 1, then }))
}

/// Wakes all threads that sleep on `cv` now. There are at most as many as there are threads. A thread that goes to
/// sleep later is after them in the queue, and has already seen the change for which they are woken.
///
/// Usually there is none or one: the first two are woken at once, the others step by step.
#[inline(always)]
fn wake_all<M: System>(cpu: &mut Cpu<'_, M>, cv: Cv<M>) -> Result<Next<M>, Stuck> {
    // Equivalent mutants (`==`: false): where nobody sleeps, the steps that are left wake nobody either, and they are
    // counted.
    if thread_wakeup(cpu, cv)? == 0 || thread_wakeup(cpu, cv)? == 0 {
        return Ok(Next::ToUser(proc_start_user2(cpu)?));
    }
    Ok(Next::Wake(Wake { cv: cv.0, left: M::Word::from(NUM_PROC) - 2, then: Continuation::StartUser }))
}

/// The arguments of both calls, checked as far as possible without the page map.
struct Message<M: System> {
    /// The channel, by its condition variable.
    cv: Cv<M>,
    /// The address of the caller's page; the page may be missing.
    page: Address<M>,
    /// Number of words that the caller asks for.
    words: M::Word,
}

/// The arguments of the running thread. The main thread of a CPU must not wait, so it is refused.
#[inline(always)]
fn message<M: System>(cpu: &Cpu<'_, M>) -> Result<Message<M>, Failure> {
    if is_main(cpu)? {
        return Err(Error::Ipc.into());
    }
    let (channel, address) = (argument(cpu, FIRST)?, argument(cpu, SECOND)?);
    let words = argument(cpu, THIRD)?.any();
    let channel = channel.below(CHANNELS).ok_or(Error::InvalChid)?;
    let page = Address::in_window(address).ok_or(Error::InvalAddr)?;
    if page.offset() != 0 {
        return Err(Error::InvalAddr.into());
    }
    Ok(Message { cv: Cv(channel), page, words })
}

/// Takes the lock of the channel. Returns the caller's permission for its page; 0 if no page is mapped.
///
/// The walk is done under the lock, so that the compiler merges it with the walk of the copy.
#[inline(always)]
fn enter<M: System>(cpu: &mut Cpu<'_, M>, message: &Message<M>) -> Result<M::Word, Stuck> {
    acquire_lock_chan(cpu, message.cv.channel())?;
    let cur = get_curid(cpu)?;
    Ok(page(cpu, cur, &message.page)?.map_or(0.into(), |page| page.permission))
}

/// Handles a call that cannot use its page with this `permission`. Programs may not use the kernel's pages, nor
/// write to read-only pages. If the program has not touched the page yet, the page is reserved as for an access by
/// the program, and the call begins again.
#[cold]
#[inline(never)]
fn cannot_use<M: System>(
    cpu: &mut Cpu<'_, M>,
    message: Message<M>,
    permission: M::Word,
    continuation: Continuation,
) -> Result<Next<M>, Stuck> {
    release_lock_chan(cpu, message.cv.channel())?;
    if permission != 0 {
        return refuse(cpu, Error::InvalAddr);
    }
    let cur = get_curid(cpu)?;
    match reserve(cpu, cur, &message.page, perm::PTU)? {
        Reserved::Fresh => Ok(Next::Continue(continuation)),
        Reserved::Exhausted => refuse(cpu, Error::Mem),
        // The page was missing before, and only this thread could have mapped it.
        Reserved::Mapped => refuse(cpu, Error::InvalAddr),
    }
}

/// `send(channel, address, words) -> words`, from the beginning.
///
/// # Errors
/// None in kernel mode, for any arguments.
pub(crate) fn send<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let message = match message(cpu) {
        Ok(message) => message,
        Err(failure) => return refuse(cpu, failure),
    };
    let permission = enter(cpu, &message)?;
    if permission != perm::PTU && permission != perm::PTUR {
        return cannot_use(cpu, message, permission, Continuation::Send);
    }
    let channel = message.cv.channel();
    if get_sync_chan_busy(cpu, channel)? == FILLED {
        return sleep(cpu, message.cv, Continuation::Send);
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
    let message = match message(cpu) {
        Ok(message) => message,
        Err(failure) => return refuse(cpu, failure),
    };
    let permission = enter(cpu, &message)?;
    if permission != perm::PTU {
        return cannot_use(cpu, message, permission, Continuation::Receive);
    }
    let channel = message.cv.channel();
    if get_sync_chan_busy(cpu, channel)? != FILLED {
        if !argument(cpu, FOURTH)?.is(0) {
            return sleep(cpu, message.cv, Continuation::Receive);
        }
        release_lock_chan(cpu, channel)?;
        return refuse(cpu, Error::Ipc);
    }
    let received = ipc_receive_body(cpu, channel, message.page.word(), message.words)?;
    set_sync_chan_busy(cpu, channel, FREE.into())?;
    release_lock_chan(cpu, channel)?;
    answer(cpu, Ok(received))?;
    wake_all(cpu, message.cv)
}
