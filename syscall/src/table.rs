//! The table of all kernel entries and their steps. Everything that enumerates them reads this table.
//!
//! The table is closed: each row ends in a [`Next`] that [holds](Next::holds), and this is the precondition of the row
//! that continues with it. `resume` is the first half of [`resume`](crate::entry::resume): it decodes the continuation
//! that a thread saved. The second half is the row of that continuation. The boot of a CPU is not a row, since it may be refused; the prover's theorem `boot` is
//! about it.
use crate::continuation::Continuation;
use crate::effect::{self, Effect, EntryArguments};
use crate::entry::{exception, go_on, guest_exit, interrupt, load_step, page_fault, system_call, wake_step};
use crate::mode::{is_guest, is_kernel, is_user};
use crate::next::{Next, can_resume};
use crate::system::System;
use layer::core::machine::Spec;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::spec::view::View;

/// The code of an entry or step, callable with any arguments.
pub type Run<M> = fn(&mut Cpu<'_, M>, &EntryArguments<M>) -> Result<Next<M>, Stuck>;

/// An entry, or a step of one.
pub struct KernelEntry<M: System + Spec> {
    /// Its name.
    pub name: &'static str,
    /// Its precondition, besides the invariant.
    pub ready: fn(&View<'_, M>, &EntryArguments<M>) -> bool,
    /// Its code.
    pub run: Run<M>,
    /// Its modifies clause and its postcondition.
    pub effect: Effect<M>,
}

impl<M: System + Spec> Clone for KernelEntry<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: System + Spec> Copy for KernelEntry<M> {}

/// Every entry and every step.
pub fn rows<M: System + Spec>() -> [KernelEntry<M>; 14] {
    let trap = |name, run: Run<M>, effect| KernelEntry { name, ready: |v, _| is_user(v), run, effect };
    let step = |name, run: Run<M>, effect| KernelEntry { name, ready: |v, _| is_kernel(v), run, effect };
    [
        trap("system_call", |cpu, a| system_call(cpu, a.registers), effect::system_call()),
        trap("page_fault", |cpu, a| page_fault(cpu, a.registers), effect::page_fault()),
        trap("exception", |cpu, a| exception(cpu, a.registers, a.reason), effect::exception()),
        trap("interrupt", |cpu, a| interrupt(cpu, a.registers), effect::interrupt()),
        KernelEntry {
            ready: |v, _| is_guest(v),
            ..trap("guest_exit", |cpu, a| guest_exit(cpu, a.guest), effect::guest_exit())
        },
        KernelEntry {
            ready: |v, a| can_resume(v, a.context),
            ..step("resume", |_, a| Ok(Next::Continue(Continuation::of(a.context)?)), effect::resume())
        },
        step("start_user", |cpu, _| go_on(cpu, Continuation::StartUser), effect::start_user()),
        step("main", |cpu, _| go_on(cpu, Continuation::Main), effect::main()),
        step("exited", |cpu, _| go_on(cpu, Continuation::Exited), effect::exited()),
        step("send", |cpu, _| go_on(cpu, Continuation::Send), effect::send()),
        step("receive", |cpu, _| go_on(cpu, Continuation::Receive), effect::receive()),
        step("wait", |cpu, _| go_on(cpu, Continuation::Wait), effect::wait()),
        KernelEntry {
            ready: |v, a| a.wake().ready(v),
            ..step("wake", |cpu, a| wake_step(cpu, a.wake()), effect::wake())
        },
        KernelEntry {
            ready: |v, a| a.load().ready(v),
            ..step("load", |cpu, a| load_step(cpu, a.load()), effect::load())
        },
    ]
}
