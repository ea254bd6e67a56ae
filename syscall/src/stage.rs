//! Stages: what a thread goes on with when it runs again.
use crate::next::Next;
use crate::system::System;
use layer::constants::PAGE_SIZE;
use layer::fields::{Context, START_USER};
use layer::state::Cpu;
use layer::stuck::Stuck;
use layer::thread::{get_curid, thread_yield};

/// What a thread goes on with: the `ra` of its saved kernel context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Stage {
    /// It goes on in user mode.
    StartUser = START_USER,
    /// It is the main thread of its CPU: starts programs, then lets others run.
    Main = 1,
    /// Its program has ended, for good: threads do not go away (P44), so it lets others run for ever.
    Exited = 2,
}

impl Stage {
    /// Every stage, in the order of its number.
    pub const ALL: [Stage; 3] = [Stage::StartUser, Stage::Main, Stage::Exited];

    /// The stage that a saved context goes on with.
    ///
    /// # Errors
    /// [`Stuck::BadContext`] when there is no such stage.
    #[track_caller]
    pub fn of<M: System>(context: Context<M>) -> Result<Stage, Stuck> {
        Stage::ALL.into_iter().find(|&stage| context.ra == stage as u32).ok_or(Stuck::BadContext)
    }
}

/// Lets the next ready thread of this CPU run; when the turn of this one comes again, it goes on with `stage`.
///
/// # Errors
/// Those of [`thread_yield`].
pub(crate) fn leave<M: System>(cpu: &mut Cpu<'_, M>, stage: Stage) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    // Nothing of a kernel stack survives a switch, so its position is always that of an empty one.
    let context = Context { esp: (cur + 1) * PAGE_SIZE - 4, ra: (stage as u32).into() };
    Ok(Next::Switch(thread_yield(cpu, context)?))
}
