//! Continuations: where a thread continues when it runs again.
use crate::system::System;
use abi::ThreadState;
use layer::core::constants::PAGE_SIZE;
use layer::core::fields::{Context, STAGES, START_USER};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::thread::{get_cpu_id, get_curid};

/// A continuation: the `ra` of a saved kernel context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Stage {
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

const _: () = assert!(Stage::ALL.len() == STAGES as usize);
// The state of a thread that does not run is the number of its continuation.
const _: () =
    assert!(Stage::StartUser as u32 == ThreadState::Ready as u32 && Stage::Main as u32 == ThreadState::Main as u32);
const _: () = assert!(Stage::Exited as u32 == ThreadState::Ended as u32 && STAGES == ThreadState::Running as u32);
const _: () = assert!(Stage::Send as u32 == ThreadState::Sending as u32);
const _: () = assert!(Stage::Receive as u32 == ThreadState::Receiving as u32);
const _: () = assert!(Stage::Wait as u32 == ThreadState::Waiting as u32);

impl Stage {
    /// Every continuation, in the order of the numbers.
    pub const ALL: [Stage; 6] =
        [Stage::StartUser, Stage::Main, Stage::Exited, Stage::Send, Stage::Receive, Stage::Wait];

    /// The continuation of a saved context.
    ///
    /// # Errors
    /// [`Stuck::BadContext`] if there is no such continuation.
    #[track_caller]
    pub fn of<M: System>(context: Context<M>) -> Result<Stage, Stuck> {
        Stage::ALL.into_iter().find(|&stage| context.ra == stage as u32).ok_or(Stuck::BadContext)
    }
}

/// The context that the running thread saves to continue at `stage` later.
#[inline]
pub(crate) fn saved<M: System>(cpu: &Cpu<'_, M>, stage: Stage) -> Result<Context<M>, Stuck> {
    Ok(context(get_curid(cpu)?, stage))
}

/// The context in which `thread` continues at `stage`.
#[inline(always)]
#[track_caller]
pub(crate) fn context<M: System>(thread: M::Word, stage: Stage) -> Context<M> {
    // No data on a kernel stack survives a switch, so the saved position is always that of an empty stack.
    Context { esp: (thread + 1) * PAGE_SIZE - 4, ra: (stage as u32).into() }
}

/// Whether the running thread is the main thread of its CPU. The main thread must not sleep, so that a thread is always
/// ready (P34).
#[inline]
pub(crate) fn is_main<M: System>(cpu: &Cpu<'_, M>) -> Result<bool, Stuck> {
    Ok(get_curid(cpu)? == get_cpu_id(cpu)? + 1)
}
