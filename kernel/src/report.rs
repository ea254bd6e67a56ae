//! The last report: the error, where it occurred, and the calls that led to it. There is one report in a run, even if
//! several CPUs fail at the same moment.
//!
//! The first CPU to claim the report stops the others with an NMI, takes the console from its holder, writes the
//! report, and ends the machine. Every other CPU that reaches the report stops.

use crate::cpu::running;
use crate::cpu::trap::TrapFrame;
use crate::cpu::vectors::{self, page_fault};
use crate::cpu::{block, machine_check, registers};
use crate::devices::console::{self, Console};
use crate::devices::exit::Reason;
use crate::devices::power;
use crate::handover::symbols::Symbols;
use crate::image::image;
use crate::irq::apic::LocalApic;
use crate::irq::interrupt;
use crate::mm::layout::{IMAGE_BASE, MAX_CPUS};
use crate::mm::paging;
use crate::mm::stacks::{self, Place};
use crate::sync::lock::Guard;
use core::arch::asm;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use x86_64::registers::control::{Cr0, Cr2, Cr3, Cr4};

/// Number of the CPU that reports, or [`NOBODY`].
static REPORTER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// Bit `n` is set once CPU `n` has stopped.
static STOPPED: AtomicU64 = AtomicU64::new(0);
/// The registers of each stopped CPU at its interruption; null for a CPU that stopped by itself.
static PLACES: [AtomicPtr<TrapFrame>; MAX_CPUS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CPUS];
static SYMBOLS: AtomicPtr<Symbols<'static>> = AtomicPtr::new(ptr::null_mut());
/// How often the reporter checks whether the others have stopped; they need microseconds.
const STOP_TRIES: u32 = 50_000_000;
/// Length limit of a back trace: a trace with a cycle of frame pointers must end.
const TRACE_LIMIT: usize = 32;

/// The console, seized for a report.
struct Out(Guard<'static, Console>);

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text)
    }
}

/// Sets the symbols that reports use to name addresses.
pub(crate) fn set_symbols(symbols: &'static mut Symbols<'static>) {
    SYMBOLS.store(symbols, Ordering::Release);
}

/// Makes CPU `number` the reporter. Does not return on any other CPU, nor a second time on the same one.
fn claim(number: usize, place: Option<&'static TrapFrame>) {
    match REPORTER.compare_exchange(NOBODY, number, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(reporter) if reporter == number => fail(number, place),
        Err(_) => {
            if let (Some(frame), Some(slot)) = (place, PLACES.get(number)) {
                // If a CPU has stopped by itself, the reporter's NMI wakes it; the position that it
                // recorded first is the right one.
                if STOPPED.load(Ordering::Acquire) & 1 << number == 0 {
                    slot.store(ptr::from_ref(frame).cast_mut(), Ordering::Release);
                }
            }
            STOPPED.fetch_or(1 << number, Ordering::AcqRel);
            registers::halt()
        }
    }
}

/// The reporter has met another fault. Reports that in one line, unless that line itself failed, and ends the machine.
#[cold]
fn fail(number: usize, place: Option<&'static TrapFrame>) -> ! {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::AcqRel) {
        let cr2 = Cr2::read_raw();
        // SAFETY: the other CPUs have stopped, or stop when they try to report, and this one never returns.
        let mut console = unsafe { console::seize() };
        console.restart();
        let _ = match place {
            None => writeln!(console, "cairn: kernel panic in the report of CPU {number}"),
            Some(frame) => {
                let name = vectors::name(frame.vector());
                writeln!(console, "cairn: {name} in the report of CPU {number}, rip {:#x}", frame.rip)
                    .and_then(|()| write_overflow(&mut *console, frame.vector(), cr2))
            }
        };
    }
    power::leave(Reason::ReportFault)
}

/// If a stack overflow caused this exception, writes which stack it was.
fn write_overflow(out: &mut dyn Write, vector: u8, cr2: u64) -> fmt::Result {
    if let (vectors::PAGE_FAULT | vectors::DOUBLE_FAULT, Some(Place::Guard(owner, stack))) =
        (vector, stacks::place(cr2))
    {
        writeln!(out, "  that is the guard page below the {} of CPU {owner}: it overflowed", stack.text())?;
    }
    Ok(())
}

/// Stops all other CPUs and takes the console for CPU `number`'s report.
fn begin(number: usize) -> Out {
    let others = ((1u64 << running::arrived()) - 1) & !(1 << number);
    if others != 0
        && let Ok(apic) = LocalApic::enable()
    {
        // Sends the NMIs one by one: CPUs that were given up at boot must get no message. If a CPU gets no message,
        // the wait below treats it like one that does not react.
        for other in (0..running::arrived()).filter(|&other| other != number) {
            let _ = apic.send_nmi(running::apic(other));
        }
        for _ in 0..STOP_TRIES {
            if STOPPED.load(Ordering::Acquire) & others == others {
                break;
            }
            core::hint::spin_loop();
        }
    }
    // SAFETY: all other CPUs have stopped (a CPU that ignores an NMI is broken hardware), and the machine ends with the
    // report.
    let mut console = unsafe { console::seize() };
    console.restart();
    Out(console)
}

/// Reports a panic: the kernel is in a state that must not occur.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let number = block::number();
    claim(number, None);
    let frame_pointer: u64;
    // SAFETY: it only reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags)) };
    let mut out = begin(number);
    let _ = write_panic(&mut out, number, info, frame_pointer);
    power::leave(Reason::Panic)
}

fn write_panic(out: &mut Out, number: usize, info: &PanicInfo, frame_pointer: u64) -> fmt::Result {
    writeln!(out, "cairn: kernel panic on CPU {number}: {}", info.message())?;
    if let Some(location) = info.location() {
        writeln!(out, "  at {location}")?;
    }
    write_task(out, number)?;
    writeln!(out, "  called from:")?;
    write_trace(out, frame_pointer)
}

/// Reports an entry from which there is no return: an exception in ring 0, or an NMI, double fault or machine check
/// anywhere.
pub(crate) fn fatal(number: usize, frame: &'static TrapFrame) -> ! {
    claim(number, Some(frame));
    // Reads CR2 before a fault in here can change it.
    let cr2 = Cr2::read_raw();
    let mut out = begin(number);
    if frame.vector() == vectors::NMI {
        let _ = write_interrupted(&mut out, number, frame);
        power::leave(Reason::Interrupted)
    }
    let _ = write_exception(&mut out, number, frame, cr2);
    power::leave(Reason::KernelFault)
}

/// Writes what CPU `number` was working on, if that is known.
fn write_task(out: &mut Out, number: usize) -> fmt::Result {
    write!(out, "  on CPU {number}")?;
    (image().describe)(number, out)?;
    writeln!(out)
}

fn write_exception(out: &mut Out, number: usize, frame: &TrapFrame, cr2: u64) -> fmt::Result {
    let vector = frame.vector();
    let place = if frame.from_ring_3() { "ring 3" } else { "the kernel" };
    writeln!(
        out,
        "cairn: {} (vector {vector}) in {place} on CPU {number}, error code {:#x}",
        vectors::name(vector),
        frame.error
    )?;
    write_task(out, number)?;
    if vector == vectors::PAGE_FAULT {
        let (access, reason) = (page_fault::access(frame.error), page_fault::reason(frame.error));
        writeln!(out, "  {access} {cr2:#x}: {reason}")?;
    }
    write_overflow(out, vector, cr2)?;
    if vector == vectors::MACHINE_CHECK {
        machine_check::describe(out)?;
    }
    write!(out, "  rip {:#018x} ", frame.rip)?;
    write_symbol(out, frame.rip)?;
    writeln!(out, "\n  rsp {:#018x} cs {:#x} ss {:#x} rflags {:#x}", frame.rsp, frame.cs, frame.ss, frame.rflags)?;
    for (names, values) in TrapFrame::GENERAL.chunks(3).zip(frame.general.chunks(3)) {
        for (name, value) in names.iter().zip(values) {
            write!(out, "  {name:<3} {value:#018x}")?;
        }
        writeln!(out)?;
    }
    let cr3 = Cr3::read_raw().0.start_address().as_u64();
    writeln!(out, "  cr0 {:#x} cr2 {cr2:#x} cr3 {cr3:#x} cr4 {:#x}", Cr0::read_raw(), Cr4::read_raw())?;
    if frame.from_ring_3() {
        return Ok(());
    }
    writeln!(out, "  called from:")?;
    let text = paging::image_parts().text;
    if !text.contains(&frame.rip.wrapping_sub(IMAGE_BASE)) {
        // The cause may be a call to a wild address; then the stack pointer leads to the caller.
        if let Some([back, _]) = stack_words(frame.rsp) {
            write_caller(out, back)?;
        }
    }
    write_trace(out, frame.rbp())
}

fn write_interrupted(out: &mut Out, number: usize, frame: &TrapFrame) -> fmt::Result {
    writeln!(out, "cairn: stopped from outside; the CPUs were here:")?;
    for other in 0..running::arrived() {
        write!(out, "  CPU {other}: ")?;
        let place = if other == number {
            Some(frame)
        } else {
            // SAFETY: a CPU stores the address of its own last frame, on a stack that is never used again.
            PLACES.get(other).and_then(|slot| unsafe { slot.load(Ordering::Acquire).as_ref() })
        };
        match place {
            None => write!(out, "unknown")?,
            Some(frame) => {
                write!(out, "{} at {:#x} ", if frame.from_ring_3() { "ring 3" } else { "kernel" }, frame.rip)?;
                write_symbol(out, frame.rip)?;
            }
        }
        (image().describe)(other, out)?;
        writeln!(out)?;
    }
    match interrupt::spurious() {
        0 => Ok(()),
        many => writeln!(out, "  {many} interrupts came that nobody had asked for"),
    }
}

fn write_symbol(out: &mut Out, address: u64) -> fmt::Result {
    // SAFETY: `set_symbols` has stored a reference that is valid for ever, or the pointer is null.
    let symbols = unsafe { SYMBOLS.load(Ordering::Acquire).as_ref() };
    match symbols.and_then(|symbols| symbols.find(address)) {
        Some(symbol) => write!(out, "{}+{:#x}", symbol.name, symbol.offset),
        None => write!(out, "?"),
    }
}

/// Follows the saved frame pointers from `frame_pointer` on, as long as they lead upwards.
fn write_trace(out: &mut Out, mut frame_pointer: u64) -> fmt::Result {
    for _ in 0..TRACE_LIMIT {
        let Some([next, back]) = stack_words(frame_pointer) else {
            break;
        };
        write_caller(out, back)?;
        if next <= frame_pointer {
            break;
        }
        frame_pointer = next;
    }
    Ok(())
}

/// The two words at `address`, if they lie in a stack of a CPU.
fn stack_words(address: u64) -> Option<[u64; 2]> {
    let Some(Place::Inside(owner, stack)) = stacks::place(address) else {
        return None;
    };
    let fits = address.is_multiple_of(8) && address + 16 <= stack.range(owner).end;
    (fits && owner < running::arrived()).then(|| {
        let words = ptr::with_exposed_provenance::<[u64; 2]>(address as usize);
        // SAFETY: both words lie in a mapped stack, as was just checked, and no other CPU runs.
        unsafe { words.read_volatile() }
    })
}

fn write_caller(out: &mut Out, back: u64) -> fmt::Result {
    write!(out, "    {back:#018x} ")?;
    // The return address is that after the call, so one is subtracted to get into the call.
    write_symbol(out, back.wrapping_sub(1))?;
    writeln!(out)
}
