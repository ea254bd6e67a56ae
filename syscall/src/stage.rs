//! Stages: what a thread goes on with when it runs again.
use crate::next::Next;
use crate::system::System;
use abi::ThreadState;
use layer::channel::Cv;
use layer::constants::PAGE_SIZE;
use layer::fields::{Context, STAGES, START_USER};
use layer::state::Cpu;
use layer::stuck::Stuck;
use layer::thread::{get_cpu_id, get_curid, thread_sleep, thread_yield};

/// What a thread goes on with: the `ra` of its saved kernel context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Stage {
    /// It goes on in user mode.
    StartUser = START_USER,
    /// It is the main thread of its CPU: starts programs, then lets others run.
    Main = 1,
    /// Its program has ended: it gives everything back, and is gone.
    Exited = 2,
    /// It sends a message, from the beginning: its arguments are in its registers.
    Send = 3,
    /// It receives a message, from the beginning.
    Receive = 4,
    /// It waits for a child, from the beginning.
    Wait = 5,
}

const _: () = assert!(Stage::ALL.len() == STAGES as usize);
// What a thread that does not run does is the stage that it goes on with.
const _: () =
    assert!(Stage::StartUser as u32 == ThreadState::Ready as u32 && Stage::Main as u32 == ThreadState::Main as u32);
const _: () = assert!(Stage::Exited as u32 == ThreadState::Ended as u32 && STAGES == ThreadState::Running as u32);
const _: () = assert!(Stage::Send as u32 == ThreadState::Sending as u32);
const _: () = assert!(Stage::Receive as u32 == ThreadState::Receiving as u32);
const _: () = assert!(Stage::Wait as u32 == ThreadState::Waiting as u32);

impl Stage {
    /// Every stage, in the order of its number.
    pub const ALL: [Stage; 6] =
        [Stage::StartUser, Stage::Main, Stage::Exited, Stage::Send, Stage::Receive, Stage::Wait];

    /// The stage that a saved context goes on with.
    ///
    /// # Errors
    /// [`Stuck::BadContext`] when there is no such stage.
    #[track_caller]
    pub fn of<M: System>(context: Context<M>) -> Result<Stage, Stuck> {
        Stage::ALL.into_iter().find(|&stage| context.ra == stage as u32).ok_or(Stuck::BadContext)
    }
}

/// What the running thread saves when it goes on with `stage` some day.
#[inline]
pub(crate) fn saved<M: System>(cpu: &Cpu<'_, M>, stage: Stage) -> Result<Context<M>, Stuck> {
    let cur = get_curid(cpu)?;
    // Nothing of a kernel stack survives a switch, so its position is always that of an empty one.
    Ok(Context { esp: (cur + 1) * PAGE_SIZE - 4, ra: (stage as u32).into() })
}

/// Lets the next ready thread of this CPU run; when the turn of this one comes again, it goes on with `stage`.
///
/// # Errors
/// Those of [`thread_yield`].
#[inline]
pub(crate) fn leave<M: System>(cpu: &mut Cpu<'_, M>, stage: Stage) -> Result<Next<M>, Stuck> {
    let context = saved(cpu, stage)?;
    Ok(Next::Switch(thread_yield(cpu, context)?))
}

/// Sleeps on `cv`, whose channel's lock is given back; woken, and when its turn comes, it goes on with `stage`.
///
/// # Errors
/// Those of [`thread_sleep`]: not for the main thread of a CPU ([`is_main`]).
#[inline]
pub(crate) fn sleep<M: System>(cpu: &mut Cpu<'_, M>, cv: Cv<M>, stage: Stage) -> Result<Next<M>, Stuck> {
    let context = saved(cpu, stage)?;
    Ok(Next::Switch(thread_sleep(cpu, cv, context)?))
}

/// Whether the running thread is the main thread of its CPU, which must not sleep, so that somebody is always ready (P34).
#[inline]
pub(crate) fn is_main<M: System>(cpu: &Cpu<'_, M>) -> Result<bool, Stuck> {
    Ok(get_curid(cpu)? == get_cpu_id(cpu)? + 1)
}
