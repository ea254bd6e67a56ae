//! How a kernel entry ends: in a program, in another thread, or in a step that is left to do.
use crate::continuation::{Continuation, saved};
use crate::mode::{is_guest, is_kernel, is_user};
use crate::system::System;
use domain::{Flag, Map};
use layer::core::constants::{NUM_CV, NUM_PROC};
use layer::core::fields::process::LIVE;
use layer::core::fields::{CONTINUATIONS, Context};
use layer::core::machine::{Machine, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::channel::pool::Cv;
use layer::objects::process::ToUser;
use layer::objects::thread::{Resume, thread_sleep, thread_yield};
use layer::spec::view::View;

/// How a kernel entry or step ends. The value cannot be copied and must be consumed.
#[must_use]
#[derive(Debug)]
pub enum Next<M: Machine> {
    /// A program continues.
    ToUser(ToUser<M>),
    /// The guest of the running thread continues.
    ToGuest(EnterGuest<M>),
    /// Another thread continues, at the continuation that it saved.
    Switch(Resume<M>),
    /// The next page of an image has to be loaded.
    Load(Load<M>),
    /// The threads that sleep on a channel have to be woken; then the running thread continues.
    Wake(Wake<M>),
    /// The running thread continues at a continuation.
    Continue(Continuation),
}

impl<M: Spec> Next<M> {
    /// What holds of the state when an entry or step ends in this value: the precondition of the next step.
    pub fn holds(&self, view: &View<'_, M>) -> bool {
        match self {
            Next::ToUser(to_user) => is_user(view) && to_user.thread == view.own.cur,
            Next::ToGuest(guest) => is_guest(view) && guest.thread == view.own.cur,
            Next::Switch(resume) => can_resume(view, resume.context()),
            Next::Continue(_) => is_kernel(view),
            Next::Load(load) => load.ready(view),
            Next::Wake(wake) => wake.ready(view),
        }
    }
}

/// The running thread can continue at this context: the kernel runs, the context is the one that the thread saved, and
/// it names a continuation.
pub(crate) fn can_resume<M: Spec>(view: &View<'_, M>, context: Context<M>) -> bool {
    let saved = view.own.kctxt.get([view.own.cur]);
    is_kernel(view) && context.ra == saved.ra && context.esp == saved.esp && context.ra < CONTINUATIONS
}

/// The guest that continues: the guest of this CPU, whose monitor is the running thread. The machine loads its
/// registers from where the layer stores them. The value cannot be copied and must be consumed.
#[must_use]
#[derive(Debug)]
pub struct EnterGuest<M: Machine> {
    /// The monitor.
    pub thread: M::Word,
}

/// The parent of a new child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// The parent is one word, so that `Next` has four words: values that this enum does not use tell the variants of
// `Next` apart.
#[repr(u32)]
pub enum Parent {
    /// A program, by system call: it continues with the result in its registers.
    Program,
    /// The main thread of the CPU, by the boot list.
    Main,
}

/// An image that is being loaded for a child of the running thread. The value cannot be copied and must be consumed.
#[must_use]
#[derive(Debug)]
pub struct Load<M: Machine> {
    /// The parent that waits for it.
    pub parent: Parent,
    /// The child.
    pub child: M::Word,
    /// The image.
    pub image: M::Word,
    /// The page to load next.
    pub page: M::Word,
}

impl<M: Spec> Load<M> {
    /// The precondition of a step, besides the invariant: the kernel runs, and the child is another thread of this CPU
    /// than the running one, whose process has not ended.
    pub fn ready(&self, view: &View<'_, M>) -> bool {
        is_kernel(view)
            && self.child > 0
            && self.child < NUM_PROC
            && self.child != view.own.cur
            && view.is_mine(self.child)
            && view.own.ac.get([self.child]).used.holds()
            && view.own.proc.get([self.child]).state == LIVE
    }
}

/// A wake-up in progress of the threads on a condition variable. The value cannot be copied and must be consumed.
#[must_use]
#[derive(Debug)]
pub struct Wake<M: Machine> {
    /// The condition variable.
    pub cv: M::Word,
    /// Maximum number of threads that are still to be woken.
    pub left: M::Word,
    /// The continuation of the running thread.
    pub then: Continuation,
}

impl<M: Spec> Wake<M> {
    /// The precondition of a step, besides the invariant: the kernel runs, and the condition variable exists.
    pub fn ready(&self, view: &View<'_, M>) -> bool {
        is_kernel(view) && self.cv < NUM_CV
    }
}

/// Lets the next ready thread of this CPU run. The running thread continues at `continuation` when its turn comes
/// again.
///
/// # Errors
/// The errors of [`thread_yield`].
#[inline]
pub(crate) fn leave<M: System>(cpu: &mut Cpu<'_, M>, continuation: Continuation) -> Result<Next<M>, Stuck> {
    let context = saved(cpu, continuation)?;
    Ok(Next::Switch(thread_yield(cpu, context)?))
}

/// Sleeps on `cv` and releases the lock of its channel. Once woken and scheduled, the thread continues at
/// `continuation`.
///
/// # Errors
/// The errors of [`thread_sleep`]; the main thread of a CPU ([`is_main`]) must not call this.
#[inline]
pub(crate) fn sleep<M: System>(cpu: &mut Cpu<'_, M>, cv: Cv<M>, continuation: Continuation) -> Result<Next<M>, Stuck> {
    let context = saved(cpu, continuation)?;
    Ok(Next::Switch(thread_sleep(cpu, cv, context)?))
}

/// Executes `work` without inlining it, so that a quick call does not save registers that only slow calls need.
#[inline(never)]
pub(crate) fn slowly<M: System>(
    cpu: &mut Cpu<'_, M>,
    work: impl FnOnce(&mut Cpu<'_, M>) -> Result<Next<M>, Stuck>,
) -> Result<Next<M>, Stuck> {
    work(cpu)
}
