//! Continuations: where a thread continues when it runs again.
use crate::system::System;
use abi::ThreadState;
use layer::core::constants::PAGE_SIZE;
use layer::core::fields::{CONTINUATIONS, Context, START_USER};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::thread::{get_cpu_id, get_curid};

/// A continuation: the `ra` of a saved kernel context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Continuation {
    /// The thread continues in user mode.
    StartUser = START_USER,
    /// The main thread of its CPU: starts programs, then lets others run.
    Main = 1,
    /// The thread's program has ended: it releases all its pages, and ends.
    Exited = 2,
    /// The thread executes `send` from the beginning. Its arguments are in its registers.
    Send = 3,
    /// The thread executes `recv` from the beginning.
    Receive = 4,
    /// The thread executes `wait` from the beginning.
    Wait = 5,
}

const _: () = assert!(Continuation::ALL.len() == CONTINUATIONS as usize);
// The state of a thread that does not run is the number of its continuation.
const _: () = assert!(
    Continuation::StartUser as u32 == ThreadState::Ready as u32
        && Continuation::Main as u32 == ThreadState::Main as u32
);
const _: () =
    assert!(Continuation::Exited as u32 == ThreadState::Ended as u32 && CONTINUATIONS == ThreadState::Running as u32);
const _: () = assert!(Continuation::Send as u32 == ThreadState::Sending as u32);
const _: () = assert!(Continuation::Receive as u32 == ThreadState::Receiving as u32);
const _: () = assert!(Continuation::Wait as u32 == ThreadState::Waiting as u32);

impl Continuation {
    /// Every continuation, in the order of the numbers.
    pub const ALL: [Continuation; 6] = [
        Continuation::StartUser,
        Continuation::Main,
        Continuation::Exited,
        Continuation::Send,
        Continuation::Receive,
        Continuation::Wait,
    ];

    /// The continuation of a saved context.
    ///
    /// # Errors
    /// [`Stuck::BadContext`] if there is no such continuation.
    #[track_caller]
    pub fn of<M: System>(context: Context<M>) -> Result<Continuation, Stuck> {
        Continuation::ALL.into_iter().find(|&continuation| context.ra == continuation as u32).ok_or(Stuck::BadContext)
    }
}

/// The context that the running thread saves to continue at `continuation` later.
#[inline]
pub(crate) fn saved<M: System>(cpu: &Cpu<'_, M>, continuation: Continuation) -> Result<Context<M>, Stuck> {
    Ok(context(get_curid(cpu)?, continuation))
}

/// The context in which `thread` continues at `continuation`.
#[inline(always)]
#[track_caller]
pub(crate) fn context<M: System>(thread: M::Word, continuation: Continuation) -> Context<M> {
    // No data on a kernel stack survives a switch, so the saved position is always that of an empty stack.
    Context { esp: (thread + 1) * PAGE_SIZE - 4, ra: (continuation as u32).into() }
}

/// Whether the running thread is the main thread of its CPU. The main thread must not sleep, so that a thread is always
/// ready (P34).
#[inline]
pub(crate) fn is_main<M: System>(cpu: &Cpu<'_, M>) -> Result<bool, Stuck> {
    Ok(get_curid(cpu)? == get_cpu_id(cpu)? + 1)
}
