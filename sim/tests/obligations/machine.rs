//! Machines for tests.
use layer::core::constants::{KERN_LOW, SLP_Q, TOTAL_CPU};
use layer::core::fields::Context;
use layer::core::state::Cpu;
use layer::objects::boot::sched_init;
use layer::objects::channel::acquire_lock_chan;
use layer::objects::channel::pool::{Channel, Cv};
use layer::objects::process::{proc_exit_user, proc_start_user};
use layer::objects::thread::{thread_sleep, thread_yield};
use layer::spec::fact::Class;
use sim::check::facts::check;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::serial::SerialInput;
use sim::machine::sparse::Cells;
use std::sync::Arc;

/// A CPU of a machine that lives as long as the test.
pub type Processor = Cpu<'static, Sim>;

/// A context whose values do not matter.
pub const CONTEXT: Context<Sim> = Context { esp: 0, ra: 0 };

/// A memory with `pages` pages for users, at the beginning of the user area.
pub fn memory(pages: u32) -> Memory {
    Memory::all(KERN_LOW + pages)
}

/// This many CPUs of a machine, before `sched_init`.
pub fn off(memory: Memory, cpus: u32, serial: SerialInput) -> Vec<Processor> {
    let mut platform = Platform::bare(memory);
    platform.serial = serial;
    platform::make_current(Arc::new(platform), None);
    let shared = &*Box::leak(Box::new(shared()));
    (0..cpus).map(|cpu| processor(shared, cpu)).collect()
}

/// This many CPUs of a machine, after `sched_init`.
pub fn boot(memory: Memory, cpus: u32) -> Vec<Processor> {
    let mut cpus = off(memory, cpus, SerialInput::default());
    cpus.iter_mut().for_each(|cpu| sched_init(cpu, 0).expect("a good machine"));
    cpus
}

/// Checks the invariant on all CPUs.
pub fn assert_invariant(cpus: &[Processor]) {
    for (current, cpu) in (0..TOTAL_CPU).zip(cpus) {
        assert_eq!(check(cpu, current, Cells::Neighbours, Class::Derived), [], "on CPU {current}");
    }
}

/// Switches to the next thread of a CPU. Returns its number.
pub fn next(cpu: &mut Processor) -> u32 {
    let _resume = thread_yield(cpu, CONTEXT).expect("a main thread can always yield");
    cpu.own.cur
}

/// The running thread sleeps on a condition variable.
pub fn sleep(cpu: &mut Processor, cv: u32) {
    acquire_lock_chan(cpu, Channel(SLP_Q + cv)).expect("the lock is free");
    let _resume = thread_sleep(cpu, Cv(cv), CONTEXT).expect("another thread is ready");
}

/// Runs accesses of a program, from entering user mode to the return to the kernel.
pub fn in_program<R>(cpu: &mut Processor, run: impl FnOnce(&mut Processor) -> R) -> R {
    let _to_user = proc_start_user(cpu).expect("kernel mode");
    let result = run(cpu);
    proc_exit_user(cpu, [0; 25]).expect("user mode");
    result
}
