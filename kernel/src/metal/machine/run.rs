//! The hooks of an image that runs the layer: boot, every entry from ring 3, and the way back.
use super::checkpoint::{self, Rest};
use super::ledger::{self, ledger};
use super::{Metal, Saved, board, processor, set_board, shared};
use crate::context::Slot;
use crate::layout::MAX_CPUS;
use crate::lock::Lock;
use crate::metal::boot::Boot;
use crate::metal::cpu::Cpu as Hardware;
use crate::metal::entry::Entry;
use crate::metal::interrupt::{self, Cause};
use crate::metal::user::{Thread, Way, enter, go_on};
use crate::metal::{Image, timer};
use crate::vectors::{self, page_fault};
use abi::Reason;
use core::fmt::{self, Write};
use layer::state::{Cpu, TrapInfo};
use layer::stuck::Stuck;
use syscall::entry;
use syscall::next::{Next, Step};

/// The image of the kernel itself.
pub const IMAGE: Image = Image { prepare, start, entry: enter_kernel, describe };

/// What each CPU owns of the layer's state. Only that CPU takes the lock.
static CPUS: [Lock<Option<Cpu<'static, Metal>>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];

/// Builds the shared objects, once, and what each CPU owns.
fn prepare(boot: &mut Boot) {
    let board = match set_board(boot) {
        Ok(board) => board,
        Err(error) => panic!("cannot boot: {error:?}"),
    };
    let cpus = boot.cpus.ids().len() as u32;
    if let Err(problem) = ledger::open(board, boot.archive.clone(), cpus) {
        panic!("cannot boot: {problem}");
    }
    checkpoint::open(boot.archive.as_ref());
    let shared = shared(board);
    for (cpu, place) in (0..cpus).zip(&CPUS) {
        *place.lock() = Some(processor(board, shared, cpu));
    }
}

/// Gives what CPU `number`, which runs this, owns to `work`, which may do with it what no kernel must: for images that try
/// whether that is noticed. The CPU is at rest: its image's `entry` has been called, and has not gone on yet.
pub fn meddle(number: usize, work: impl FnOnce(&mut Cpu<'static, Metal>)) {
    let mut own = CPUS[number].lock();
    work(own.as_mut().expect("`prepare` has made what each CPU owns"));
}

/// A CPU begins to run the layer.
fn start(hardware: &mut Hardware) -> ! {
    work(hardware, Way::Iret, |_, layer| entry::boot(layer, 0))
}

/// A program has entered the kernel.
fn enter_kernel(hardware: &mut Hardware, why: Entry) -> ! {
    if let Entry::Interrupt { vector } = why
        && interrupt::accept(vector) == Cause::Nothing
    {
        // SAFETY: the program was entered by `work`, and nothing has changed since.
        unsafe { go_on(hardware) }
    }
    // `syscall` has destroyed RCX and R11 already, so `sysret` may do so again.
    let way = if why == Entry::SystemCall { Way::Sysret } else { Way::Iret };
    work(hardware, way, |hardware, layer| {
        let rest = if why == Entry::SystemCall { Rest::Call } else { Rest::Trap };
        checkpoint::pass(hardware.number(), layer, rest);
        let saved = Saved::by_stub(hardware, layer);
        match why {
            Entry::SystemCall => entry::system_call(layer, saved),
            Entry::PageFault { address, error } => {
                assert!(error & page_fault::RESERVED == 0, "a page-table entry has a reserved bit set");
                let rip = hardware.context().map_or(0, |context| context.get(Slot::Eip));
                // What exec_load and exec_store do with a fault; here the processor is the accessor.
                layer.own.ti = TrapInfo { addr: address, ra: rip };
                entry::page_fault(layer, saved)
            }
            Entry::Exception { vector, .. } => match Reason::from_number(vector.into()) {
                Some(reason) => entry::exception(layer, saved, reason),
                None => panic!("a program has raised {} (vector {vector})", vectors::name(vector)),
            },
            Entry::Interrupt { .. } => entry::interrupt(layer, saved),
        }
    })
}

/// Does a kernel entry, with all steps that follow from it, and leaves the kernel: by `back` if the program that
/// entered goes on.
fn work(
    hardware: &mut Hardware,
    back: Way,
    first: impl FnOnce(&mut Hardware, &mut Cpu<'static, Metal>) -> Result<Next<Metal>, Stuck>,
) -> ! {
    let number = hardware.number();
    let (thread, way) = {
        let mut own = CPUS[number].lock();
        let layer = own.as_mut().expect("`prepare` has made what each CPU owns");
        let before = layer.own.cur;
        match first(hardware, layer).and_then(|next| steps(number, layer, next)) {
            Ok(thread) => {
                let root = board().spaces.root(thread.into()).expect("every thread has a page map");
                let its = Thread { context: layer.own.uctxt.0.row(thread), fpu: board().fpu(thread), root };
                timer::begin(number, thread != before);
                (its, if thread == before { back } else { Way::Iret })
            }
            Err(stuck) => panic!("a precondition was broken: {stuck:?} (thread {})", layer.own.cur),
        }
    };
    // SAFETY: context and floating-point state are this thread's, which is this CPU's; its map was made by
    // `user_spaces`, and the layer maps only users' frames for ring 3.
    unsafe { enter(hardware, thread, way) }
}

/// Takes steps until a program goes on, and says whose. A CPU that has none for ever halts in there.
fn steps(number: usize, layer: &mut Cpu<'static, Metal>, mut next: Next<Metal>) -> Result<u32, Stuck> {
    loop {
        ledger().runs(layer.own.cpu, layer.own.cur);
        match next.step(layer)? {
            Step::User(to_user) => return Ok(to_user.thread),
            Step::Kernel(more) => next = more,
        }
        checkpoint::pass(number, layer, Rest::Step);
    }
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
