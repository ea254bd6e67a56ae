//! The table of everything that a kernel entry can do: it drives whoever enumerates them.
//!
//! Together the rows are closed: each ends in a [`Next`] that [holds](Next::holds), and that is the condition of the
//! row that goes on with it. What boots a CPU is not among them: it is `sched_init`, after which the main thread runs.
use crate::entry::{exception, go_on, interrupt, load_step, page_fault, system_call, wake_step};
use crate::message::Wake;
use crate::mode::{is_kernel, is_user};
use crate::next::Next;
use crate::spawn::{Load, Parent};
use crate::stage::Stage;
use crate::system::System;
use abi::Reason;
use layer::invariant::View;
use layer::machine::Spec;
use layer::state::Cpu;
use layer::stuck::Stuck;

/// Arguments for any row; each takes what it needs.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<M: System> {
    /// The registers of a trap.
    pub registers: M::Registers,
    /// Why a program is to be stopped.
    pub reason: Reason,
    /// Who waits for an image.
    pub parent: Parent,
    /// Child, image, pages and next page of a [`Load`].
    pub load: [M::Word; 4],
    /// Condition variable and rest of a [`Wake`].
    pub wake: [M::Word; 2],
}

impl<M: System> Arguments<M> {
    /// The load that they speak of.
    fn load(&self) -> Load<M> {
        let [child, image, pages, page] = self.load;
        Load { parent: self.parent, child, image, pages, page }
    }

    /// The wake-up that they speak of.
    fn wake(&self) -> Wake<M> {
        let [cv, left] = self.wake;
        Wake { cv, left }
    }
}

/// An entry's code, called with any arguments.
pub type Run<M> = fn(&mut Cpu<'_, M>, &Arguments<M>) -> Result<Next<M>, Stuck>;

/// An entry, or a step of one.
pub struct Row<M: System + Spec> {
    /// Its name.
    pub name: &'static str,
    /// What it counts on beside the invariant.
    pub ready: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Does it.
    pub run: Run<M>,
}

impl<M: System + Spec> Clone for Row<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: System + Spec> Copy for Row<M> {}

/// Every entry and every step.
pub fn rows<M: System + Spec>() -> [Row<M>; 11] {
    [
        Row { name: "system_call", ready: |v, _| is_user(v), run: |cpu, a| system_call(cpu, a.registers) },
        Row { name: "page_fault", ready: |v, _| is_user(v), run: |cpu, a| page_fault(cpu, a.registers) },
        Row { name: "exception", ready: |v, _| is_user(v), run: |cpu, a| exception(cpu, a.registers, a.reason) },
        Row { name: "interrupt", ready: |v, _| is_user(v), run: |cpu, a| interrupt(cpu, a.registers) },
        Row { name: "start_user", ready: |v, _| is_kernel(v), run: |cpu, _| go_on(cpu, Stage::StartUser) },
        Row { name: "main", ready: |v, _| is_kernel(v), run: |cpu, _| go_on(cpu, Stage::Main) },
        Row { name: "exited", ready: |v, _| is_kernel(v), run: |cpu, _| go_on(cpu, Stage::Exited) },
        Row { name: "send", ready: |v, _| is_kernel(v), run: |cpu, _| go_on(cpu, Stage::Send) },
        Row { name: "receive", ready: |v, _| is_kernel(v), run: |cpu, _| go_on(cpu, Stage::Receive) },
        Row { name: "wake", ready: |v, a| a.wake().ready(v), run: |cpu, a| wake_step(cpu, a.wake()) },
        Row { name: "load", ready: |v, a| a.load().ready(v), run: |cpu, a| load_step(cpu, a.load()) },
    ]
}
