//! How a kernel entry ends.
use crate::entry::{go_on, load_step, resume, wake_step};
use crate::message::Wake;
use crate::mode::{is_kernel, is_user};
use crate::spawn::Load;
use crate::stage::Stage;
use crate::system::System;
use layer::core::machine::{Machine, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::process::ToUser;
use layer::objects::thread::Resume;
use layer::spec::view::View;

/// The end of a kernel entry or step. The value cannot be copied and must be consumed.
#[must_use]
#[derive(Debug)]
pub enum Next<M: Machine> {
    /// A program continues.
    ToUser(ToUser<M>),
    /// Another thread continues, at the continuation that it saved.
    Switch(Resume<M>),
    /// The next page of an image has to be loaded.
    Load(Load<M>),
    /// The threads that sleep on a channel have to be woken; then the running thread continues.
    Wake(Wake<M>),
    /// The running thread continues at a continuation.
    Continue(Stage),
}

impl<M: System> Next<M> {
    /// Executes one more step in the kernel, or returns the program that continues.
    ///
    /// Every machine drives its CPUs with this function, step by step. Between two steps it may let other CPUs run.
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
            Next::Continue(stage) => go_on(cpu, stage)?,
        }))
    }
}

/// The result of a step.
#[must_use]
#[derive(Debug)]
pub enum Step<M: Machine> {
    /// The CPU is still in the kernel.
    Kernel(Next<M>),
    /// The CPU leaves the kernel.
    User(ToUser<M>),
}

impl<M: Spec> Next<M> {
    /// What holds of the state when an entry or step ends in this value: the precondition of the next step.
    pub fn holds(&self, view: &View<'_, M>) -> bool {
        match self {
            Next::ToUser(to_user) => is_user(view) && to_user.thread == view.own.cur,
            Next::Switch(_) | Next::Continue(_) => is_kernel(view),
            Next::Load(load) => load.ready(view),
            Next::Wake(wake) => wake.ready(view),
        }
    }
}
