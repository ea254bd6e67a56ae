//! The hooks of an image that runs the layer: boot, every entry from ring 3, and the way back.
use super::checkpoint::{self, Rest};
use super::ledger::{self, ledger};
use super::{Metal, Saved, processor, serial, set_board, shared};
use crate::layout::MAX_CPUS;
use crate::lock::Lock;
use crate::metal::attention;
use crate::metal::boot::{Boot, refuse};
use crate::metal::cpu::Cpu as Hardware;
use crate::metal::entry::{Entry, take_interrupts};
use crate::metal::interrupt::{self, Cause};
use crate::metal::user::{Thread, Way, enter, go_on};
use crate::metal::{Image, timer};
use crate::vectors::{self, page_fault};
use abi::{Call, Reason};
use core::fmt::{self, Write};
use domain::Map;
use layer::constants::slot;
use layer::fields::UserContexts;
use layer::state::{Cpu, TrapInfo};
use layer::stuck::Stuck;
use syscall::entry::{self, STEPS_AT_ONCE};
use syscall::next::{Next, Step};

// Four words are moved as such; parts of different widths would be copied byte by byte.
const _: () = assert!(size_of::<Result<Next<Metal>, Stuck>>() == 16);

/// The image of the kernel itself.
pub const IMAGE: Image = Image { prepare, start, system_call, entry: enter_kernel, describe, ..Image::DEFAULT };

/// What a CPU owns of the layer's state, and the shared objects.
pub type Layer = Cpu<'static, Metal>;

/// What each CPU owns of the layer's state, until it begins to run and takes that for itself.
static LAYERS: [Lock<Option<&'static mut Layer>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];

/// Builds the shared objects, once, and what each CPU owns.
fn prepare(boot: &mut Boot) {
    let board = match set_board(boot) {
        Ok(board) => board,
        Err(error) => refuse(error),
    };
    let cpus = boot.cpus.ids().len() as u32;
    if let Err(problem) = ledger::open(board, boot.archive.clone(), cpus) {
        refuse(problem);
    }
    checkpoint::open(boot.archive.as_ref());
    let shared = shared(board);
    let layers = board.keep_each(cpus as usize, "CPUs", |cpu| processor(board, shared, cpu as u32));
    for (layer, place) in layers.iter_mut().zip(&LAYERS) {
        *place.lock() = Some(layer);
    }
}

/// Gives what this CPU owns to `work`, which may do with it what no kernel must: for images that try whether that is
/// noticed. The CPU is at rest: its image's `system_call` or `entry` has been called, and has not gone on yet.
pub fn meddle(hardware: &mut Hardware, work: impl FnOnce(&mut Layer)) {
    work(own(hardware));
}

/// A CPU begins to run the layer.
fn start(hardware: &mut Hardware) -> ! {
    let layer = LAYERS[hardware.number()].lock().take().expect("`prepare` has made what each CPU owns");
    hardware.set_state(layer);
    let layer = own(hardware);
    let first = entry::boot(layer, 0);
    ledger().runs(layer.own.cpu, layer.own.cur);
    finish(hardware, first);
    unreachable!("no program was there before")
}

/// What this CPU owns of the layer's state.
#[inline(always)]
fn own(hardware: &mut Hardware) -> &mut Layer {
    // SAFETY: `start` has set it, before any program ran.
    unsafe { hardware.state() }
}

/// Does whatever else there is to do where a program has entered the kernel.
#[cold]
fn see_to(layer: &mut Layer, rest: Rest) {
    serial::attend(layer);
    checkpoint::pass(layer, rest);
}

/// A program has entered the kernel: what the stub has saved of it.
#[inline(always)]
fn enter_layer(hardware: &mut Hardware, rest: Rest) -> Saved {
    let context = hardware.thread().context;
    let layer = own(hardware);
    if attention::is_needed() {
        see_to(layer, rest);
    }
    Saved::by_stub(context, layer)
}

/// A program has made a system call.
///
/// What it asks for is up to the layer. Looking at it beforehand only keeps apart the call that is over in a few instructions:
/// for it each one counts, and no register is saved, and no result put into memory, that only others need.
extern "C" fn system_call(hardware: &mut Hardware, number: u32) {
    let saved_number = |hardware| {
        let layer = own(hardware);
        Map::<Metal, UserContexts>::get(&layer.own.uctxt, [layer.own.cur, slot::EAX]).value as u32
    };
    // What was saved says the same, to the compiler as well.
    if number != Call::GetQuota as u32 || attention::is_needed() || saved_number(hardware) != number {
        return any_call(hardware);
    }
    let saved = Saved::by_stub(hardware.thread().context, own(hardware));
    match entry::system_call(own(hardware), saved) {
        Ok(Next::ToUser(_)) => {}
        Ok(_) => unreachable!("this call ends in its program"),
        Err(stuck) => is_stuck(stuck),
    }
}

/// Whatever system call it is.
#[inline(never)]
extern "C" fn any_call(hardware: &mut Hardware) {
    let saved = enter_layer(hardware, Rest::Call);
    let outcome = entry::system_call(own(hardware), saved);
    if let Ok(Next::ToUser(to_user)) = &outcome {
        // Nothing has switched: whatever does ends in `Next::Switch`.
        let thread = to_user.thread;
        debug_assert_eq!(own(hardware).own.uctxt.0.row(thread), hardware.thread().context);
        return;
    }
    finish(hardware, outcome);
}

/// A program has entered the kernel by a gate.
fn enter_kernel(hardware: &mut Hardware, why: Entry) -> ! {
    if let Entry::Interrupt { vector } = why
        && interrupt::accept(vector) == Cause::Nothing
    {
        // SAFETY: the program was entered by `finish`, and nothing has changed since.
        unsafe { go_on(hardware) }
    }
    let saved = enter_layer(hardware, Rest::Trap);
    let layer = own(hardware);
    let first = match why {
        Entry::PageFault { address, error } => {
            assert!(error & page_fault::RESERVED == 0, "a page-table entry has a reserved bit set");
            let cur = layer.own.cur;
            let rip = Map::<Metal, UserContexts>::get(&layer.own.uctxt, [cur, slot::EIP]).value;
            // What exec_load and exec_store do with a fault; here the processor is the accessor.
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
    // SAFETY: the program was entered by `finish`, and it is still its turn.
    unsafe { go_on(hardware) }
}

/// Does the rest of a kernel entry: all steps that follow from how it ended. It returns if the program that entered goes
/// on; otherwise it enters another one.
#[inline(always)]
fn finish(hardware: &mut Hardware, entry: Result<Next<Metal>, Stuck>) {
    let (number, before) = (hardware.number(), hardware.thread().context);
    let layer = own(hardware);
    // Who runs again after another may be another process with the same number: nothing that is left in registers is its.
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
        // SAFETY: the context is this thread's, which is this CPU's; its map was made by `user_spaces`, and the layer maps only
        // users' frames for ring 3.
        unsafe { enter(hardware, thread, Way::Iret) }
    }
}

/// An entry or a step was stuck: it is proved that none is.
#[cold]
#[inline(never)]
fn is_stuck(stuck: Stuck) -> ! {
    panic!("a precondition was broken: {stuck:?}")
}

/// Takes the steps after an entry until a program goes on, and says whose. A CPU that has none for ever halts in there.
#[inline(always)]
fn steps(layer: &mut Layer, entry: Result<Next<Metal>, Stuck>) -> Result<u32, Stuck> {
    let mut next = entry?;
    // Most often a switch to a program is all.
    if let Next::Switch(_) = next {
        match step(layer, next)? {
            Step::User(to_user) => return Ok(to_user.thread),
            Step::Kernel(more) => next = more,
        }
        checkpoint::pass(layer, Rest::Step);
    }
    more_steps(layer, next)
}

/// As [`steps`], whatever they are. Each step is bounded, and between two of them no lock is held: so no interrupt waits longer
/// than for [`STEPS_AT_ONCE`] of them, however many there are.
#[inline(never)]
fn more_steps(layer: &mut Layer, mut next: Next<Metal>) -> Result<u32, Stuck> {
    loop {
        for _ in 0..STEPS_AT_ONCE {
            match step(layer, next)? {
                Step::User(to_user) => return Ok(to_user.thread),
                Step::Kernel(more) => next = more,
            }
            checkpoint::pass(layer, Rest::Step);
        }
        take_interrupts();
    }
}

/// Takes one step; one that ends in a program is out of the kernel.
#[inline(always)]
fn step(layer: &mut Layer, next: Next<Metal>) -> Result<Step<Metal>, Stuck> {
    if let Next::Switch(_) = next {
        ledger().runs(layer.own.cpu, layer.own.cur);
    }
    Ok(match next.step(layer)? {
        Step::Kernel(Next::ToUser(to_user)) => Step::User(to_user),
        step => step,
    })
}

/// Which thread a CPU runs, for a report.
fn describe(cpu: usize, out: &mut dyn Write) -> fmt::Result {
    let Some(ledger) = ledger::opened() else { return Ok(()) };
    match ledger.running(cpu) {
        (thread, Some(program)) => write!(out, ", thread {thread} ({program})"),
        (thread, None) if ledger.is_done(cpu as u32) => write!(out, ", thread {thread}, with nothing left to run"),
        (thread, None) => write!(out, ", thread {thread}, which runs no program"),
    }
}
