//! How a kernel entry ends.
use crate::entry::{go_on, load_step, resume, wake_step};
use crate::message::Wake;
use crate::mode::{is_kernel, is_user};
use crate::spawn::Load;
use crate::stage::Stage;
use crate::system::System;
use layer::invariant::View;
use layer::machine::{Machine, Spec};
use layer::process::ToUser;
use layer::state::Cpu;
use layer::stuck::Stuck;
use layer::thread::Resume;

/// What comes after a kernel entry, or after a step of one. It cannot be copied and must be used up.
#[must_use]
#[derive(Debug)]
pub enum Next<M: Machine> {
    /// A program goes on.
    ToUser(ToUser<M>),
    /// Another thread goes on, with the stage that it saved.
    Switch(Resume<M>),
    /// The next page of an image is to be loaded.
    Load(Load<M>),
    /// Those who sleep on a channel are to be woken, then the running thread's program goes on.
    Wake(Wake<M>),
    /// The running thread goes on with a stage.
    GoOn(Stage),
}

impl<M: System> Next<M> {
    /// Takes one more step in the kernel, or says which program goes on.
    ///
    /// Every machine drives its CPUs with this, step by step; between two steps it may let other CPUs run.
    ///
    /// # Errors
    /// Those of the step.
    #[inline(always)]
    pub fn step(self, cpu: &mut Cpu<'_, M>) -> Result<Step<M>, Stuck> {
        Ok(Step::Kernel(match self {
            Next::ToUser(to_user) => return Ok(Step::User(to_user)),
            Next::Switch(context) => resume(cpu, context)?,
            Next::Load(load) => load_step(cpu, load)?,
            Next::Wake(wake) => wake_step(cpu, wake)?,
            Next::GoOn(stage) => go_on(cpu, stage)?,
        }))
    }
}

/// Where a step led.
#[must_use]
#[derive(Debug)]
pub enum Step<M: Machine> {
    /// Still in the kernel.
    Kernel(Next<M>),
    /// Out of it.
    User(ToUser<M>),
}

impl<M: Spec> Next<M> {
    /// What holds of the state when an entry or a step ends in it: what comes after counts on that.
    pub fn holds(&self, view: &View<'_, M>) -> bool {
        match self {
            Next::ToUser(to_user) => is_user(view) && to_user.thread == view.own.cur,
            Next::Switch(_) | Next::GoOn(_) => is_kernel(view),
            Next::Load(load) => load.ready(view),
            Next::Wake(wake) => wake.ready(view),
        }
    }
}
