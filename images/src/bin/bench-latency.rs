//! Measures interrupt latency: how long an interrupt waits if it comes just when the kernel masks interrupts.
//!
//! The image raises such an interrupt for its own CPU whenever a program has entered the kernel, and whenever the
//! kernel has admitted interrupts and masks them again. The interrupt arrives in ring 3, or when the kernel next
//! admits interrupts. A program may ask for the longest wait since its previous request ([`abi::latency`]), and may
//! read the time-stamp counter. The machine has one CPU.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use abi::latency::{CALL, EXCEPTION, INTERRUPT, LONGEST, PAGE_FAULT};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use kernel::cpu::block::Cpu;
use kernel::cpu::context::Slot;
use kernel::cpu::registers;
use kernel::cpu::trap::Entry;
use kernel::entry::ring3::go_on;
use kernel::image::Image;
use kernel::irq::apic::LocalApic;
use kernel::machine::hooks::IMAGE;

kernel::image!(Image { start, system_call, entry, let_in, ..IMAGE });

/// The vector of the interrupt that is raised. It has the highest priority.
const PROBE: u8 = 0xEF;

/// The time-stamp counter when the interrupt was raised.
static RAISED: AtomicU64 = AtomicU64::new(0);
/// Whether the interrupt has been raised and has not come yet.
static IS_PENDING: AtomicBool = AtomicBool::new(false);
/// The entry during which the interrupt was raised: its kind, its number within the kind, and how often interrupts
/// were admitted before.
static ENTRY: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
/// The longest wait, and the entry in which it happened.
static LONGEST_WAIT: AtomicU64 = AtomicU64::new(0);
static LONGEST_ENTRY: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

fn start(cpu: &mut Cpu) -> ! {
    registers::allow_time_stamps();
    (IMAGE.start)(cpu)
}

/// Called when the kernel masks interrupts.
fn begin() {
    let apic = LocalApic::here();
    IS_PENDING.store(true, Relaxed);
    apic.send(apic.id(), PROBE).expect("the APIC delivers it");
    RAISED.store(registers::time_stamp(), Relaxed);
}

/// Called when the interrupt has come.
fn end() {
    let waited = registers::time_stamp() - RAISED.load(Relaxed);
    IS_PENDING.store(false, Relaxed);
    if waited > LONGEST_WAIT.load(Relaxed) {
        LONGEST_WAIT.store(waited, Relaxed);
        for (longest, entry) in LONGEST_ENTRY.iter().zip(&ENTRY) {
            longest.store(entry.load(Relaxed), Relaxed);
        }
    }
}

/// Called when a program has entered the kernel.
fn entered(kind: u32, which: u32) {
    for (place, value) in ENTRY.iter().zip([kind, which, 0]) {
        place.store(value, Relaxed);
    }
    begin();
}

/// Called when the kernel has admitted interrupts.
fn let_in() {
    // A CPU that starts has raised no interrupt.
    if IS_PENDING.load(Relaxed) {
        // The interrupt came before this call, and the kernel has counted it as spurious.
        end();
    }
    ENTRY[2].fetch_add(1, Relaxed);
    begin();
}

extern "C" fn system_call(cpu: &mut Cpu, number: u32) {
    if number != LONGEST {
        entered(CALL, number);
        return (IMAGE.system_call)(cpu, number);
    }
    let context = cpu.context().expect("a program has made the call");
    let [kind, which, times] = LONGEST_ENTRY.each_ref().map(|place| u64::from(place.load(Relaxed)));
    let waited = LONGEST_WAIT.swap(0, Relaxed);
    for (slot, value) in
        [(Slot::Eax, 0), (Slot::Ebx, waited), (Slot::R10, kind), (Slot::Edx, which), (Slot::Esi, times)]
    {
        context.set(slot, value);
    }
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    match why {
        Entry::Interrupt { vector: PROBE } => {
            end();
            LocalApic::here().end_of_interrupt();
            // SAFETY: the kernel entered the program, and nothing has changed since.
            unsafe { go_on(cpu) }
        }
        Entry::Interrupt { vector } => entered(INTERRUPT, vector.into()),
        Entry::PageFault { .. } => entered(PAGE_FAULT, 0),
        Entry::Exception { vector, .. } => entered(EXCEPTION, vector.into()),
        Entry::SystemCall => unreachable!("system calls have a hook of their own"),
    }
    (IMAGE.entry)(cpu, why)
}
