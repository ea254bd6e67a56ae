//! The hooks of an image that runs the layer: boot, every entry from ring 3, and the way back.
use super::checkpoint::{self, Quiescent};
use super::metal::{Layer, Metal, Saved};
use super::program_table::{self, program_table};
use super::{guest, processor, serial, set_platform, shared};
use crate::cpu::block::{Cpu as Hardware, Thread};
use crate::cpu::trap::Entry;
use crate::cpu::vectors::{self, page_fault};
use crate::devices::power::refuse;
use crate::entry::ring3::{Way, enter, go_on};
use crate::entry::stubs::take_interrupts;
use crate::guest::virtualisation::Missing;
use crate::image::Boot;
use crate::irq::cause::Cause;
use crate::irq::{interrupt, timer};
use crate::mm::layout::MAX_CPUS;
use crate::sync::lock::Lock;
use crate::sync::pending;
use abi::Reason;
use core::ops::ControlFlow;
use domain::Map;
use layer::core::constants::slot;
use layer::core::fields::UserContexts;
use layer::core::state::TrapInfo;
use layer::core::stuck::Stuck;
use syscall::entry::{self, EntryStep, STEPS_AT_ONCE};
use syscall::next::Next;

// A result of four words is moved as words; fields of different widths would be copied byte by
// byte.
const _: () = assert!(size_of::<Result<Next<Metal>, Stuck>>() == 16);

/// The state that each CPU owns, until the CPU starts and takes it.
static LAYERS: [Lock<Option<&'static mut Layer>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];

/// Builds the shared objects once, and the state of each CPU.
pub(super) fn prepare(boot: &mut Boot) {
    let platform = match set_platform(boot) {
        Ok(platform) => platform,
        Err(error) => refuse(error),
    };
    let cpus = boot.cpus.ids().len() as u32;
    if let Err(problem) = program_table::open(platform, boot.archive.clone(), cpus) {
        refuse(problem);
    }
    checkpoint::open(boot.archive.as_ref());
    let shared = shared(platform);
    let layers = platform.keep_each(cpus as usize, "CPUs", |cpu| processor(platform, shared, cpu as u32));
    for (layer, place) in layers.iter_mut().zip(&LAYERS) {
        *place.lock() = Some(layer);
    }
}

/// The first code of a CPU that runs the layer.
pub(super) fn start(hardware: &mut Hardware) -> ! {
    let layer = LAYERS[hardware.number()].lock().take().expect("`prepare` has made what each CPU owns");
    hardware.set_state(layer);
    let layer = own(hardware);
    if let Err(missing @ (Missing::Refused | Missing::Different)) = guest::turn_on(layer) {
        // The boot report has said what CPU 0 has.
        crate::say!("cairn: CPU {} runs no guests: {missing}", layer.own.cpu);
    }
    let first = entry::boot(layer, 0);
    program_table().runs(layer.own.cpu, layer.own.cur);
    finish(hardware, first);
    unreachable!("no program was there before")
}

/// The part of the layer's state that this CPU owns.
#[inline(always)]
pub(super) fn own(hardware: &mut Hardware) -> &mut Layer {
    // SAFETY: `start` has set it to a `Layer`, before any program ran.
    unsafe { hardware.state() }
}

/// Handles the pending work when a program has entered the kernel.
#[cold]
fn see_to(layer: &mut Layer, at: Quiescent) {
    serial::attend(layer);
    checkpoint::pass(layer, at);
}

/// Begins an entry into the layer. Returns the token for the registers that the stub has saved.
#[inline(always)]
fn enter_layer(hardware: &mut Hardware, at: Quiescent) -> Saved {
    let context = hardware.thread().context;
    let layer = own(hardware);
    if pending::is_some() {
        see_to(layer, at);
    }
    Saved::by_stub(context, layer)
}

/// Handles any system call.
#[inline(never)]
pub(super) extern "C" fn any_call(hardware: &mut Hardware) {
    let saved = enter_layer(hardware, Quiescent::Call);
    let outcome = entry::system_call(own(hardware), saved);
    if let Ok(Next::ToUser(to_user)) = &outcome {
        // No thread switch has happened: a switch would have returned `Next::Switch`.
        let thread = to_user.thread;
        debug_assert_eq!(own(hardware).own.uctxt.0.row(thread), hardware.thread().context);
        return;
    }
    if let Ok(Next::ToGuest(_)) = &outcome {
        return run_guest(hardware);
    }
    finish(hardware, outcome);
}

/// Runs the guest of the program that has made the call. Returns if this program continues.
#[cold]
#[inline(never)]
fn run_guest(hardware: &mut Hardware) {
    let stopped = guest::run(own(hardware));
    let outcome = entry::guest_exit(own(hardware), stopped.registers);
    if !matches!(outcome, Ok(Next::ToUser(_))) {
        finish(hardware, outcome);
    }
}

/// Handles an entry through a gate.
pub(super) fn enter_kernel(hardware: &mut Hardware, why: Entry) -> ! {
    if let Entry::Interrupt { vector } = why
        && interrupt::accept(vector) == Cause::Nothing
    {
        // SAFETY: `finish` entered the program, and nothing has changed since.
        unsafe { go_on(hardware) }
    }
    let saved = enter_layer(hardware, Quiescent::Trap);
    let layer = own(hardware);
    let first = match why {
        Entry::PageFault { address, error } => {
            assert!(error & page_fault::RESERVED == 0, "a page-table entry has a reserved bit set");
            let cur = layer.own.cur;
            let rip = Map::<Metal, UserContexts>::get(&layer.own.uctxt, [cur, slot::EIP]).value;
            // The same is done by exec_load and exec_store on a fault; here the processor itself
            // makes the access.
            layer.own.ti = TrapInfo { addr: address, ra: rip };
            entry::page_fault(layer, saved)
        }
        Entry::Exception { vector, .. } => match Reason::from_number(vector.into()) {
            Some(reason) => entry::exception(layer, saved, reason),
            None => panic!("a program has raised {} (vector {vector})", vectors::name(vector)),
        },
        Entry::Interrupt { .. } => entry::interrupt(layer, saved),
        Entry::SystemCall => unreachable!("system calls have a hook of their own"),
    };
    finish(hardware, first);
    // SAFETY: `finish` entered the program, which continues to run.
    unsafe { go_on(hardware) }
}

/// Finishes an entry: takes all steps that follow from its result. Returns if the program that entered the kernel
/// continues; otherwise enters another program.
#[inline(always)]
fn finish(hardware: &mut Hardware, entry: Result<Next<Metal>, Stuck>) {
    let (number, before) = (hardware.number(), hardware.thread().context);
    let layer = own(hardware);
    // If another thread ran in between, this thread may have a new process with the same number, so no old
    // register values may remain.
    let stayed = matches!(entry, Ok(Next::ToUser(_)));
    let thread = match steps(layer, entry) {
        Ok(thread) => thread,
        Err(stuck) => is_stuck(stuck),
    };
    let context = layer.own.uctxt.0.row(thread);
    let another = !stayed || context != before;
    timer::begin(number, another);
    if another {
        let thread = Thread { context, root: layer.own.dirs.0.root(thread) };
        // SAFETY: the context is this thread's, and the thread is this CPU's. `user_spaces` made its map, and the layer
        // maps only users' frames for ring 3.
        unsafe { enter(hardware, thread, Way::Iret) }
    }
}

/// Panics: an entry or a step was stuck. It is proved that this does not happen.
#[cold]
#[inline(never)]
pub(super) fn is_stuck(stuck: Stuck) -> ! {
    panic!("a precondition was broken: {stuck:?}")
}

/// Takes the steps after an entry until a program continues, and returns its thread. A CPU that never gets a
/// program again halts in this function.
#[inline(always)]
fn steps(layer: &mut Layer, entry: Result<Next<Metal>, Stuck>) -> Result<u32, Stuck> {
    let mut next = entry?;
    // Usually the only step is a switch to a program.
    if let Next::Switch(_) = next {
        match step(layer, next)? {
            ControlFlow::Break(thread) => return Ok(thread),
            ControlFlow::Continue(more) => next = more,
        }
        checkpoint::pass(layer, Quiescent::Step);
    }
    more_steps(layer, next)
}

/// Like [`steps`], without the short path. Each step is bounded, and between two of them the CPU holds no lock. So an
/// interrupt waits for at most [`STEPS_AT_ONCE`] steps.
#[inline(never)]
fn more_steps(layer: &mut Layer, mut next: Next<Metal>) -> Result<u32, Stuck> {
    loop {
        for _ in 0..STEPS_AT_ONCE {
            match step(layer, next)? {
                ControlFlow::Break(thread) => return Ok(thread),
                ControlFlow::Continue(more) => next = more,
            }
            checkpoint::pass(layer, Quiescent::Step);
        }
        take_interrupts();
    }
}

/// Takes one step. Breaks with the thread if a program continues.
#[inline(always)]
fn step(layer: &mut Layer, next: Next<Metal>) -> Result<ControlFlow<u32, Next<Metal>>, Stuck> {
    if let Next::Switch(_) = next {
        program_table().runs(layer.own.cpu, layer.own.cur);
    }
    Ok(match next.step(layer)? {
        EntryStep::Kernel(Next::ToUser(to_user)) | EntryStep::User(to_user) => ControlFlow::Break(to_user.thread),
        EntryStep::Kernel(next) => ControlFlow::Continue(next),
        EntryStep::Guest(_) => unreachable!("only a system call runs a guest"),
    })
}
