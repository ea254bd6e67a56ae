//! On every CPU one thread loops for ever and another calls the kernel; the timer gives both of them turns. At each
//! call, the timer's interrupt comes while the kernel runs. It must not end the slice of the thread that runs next.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering};
use images::user;
use kernel::cpu::block::Cpu;
use kernel::cpu::context::Slot;
use kernel::cpu::running::arrived;
use kernel::cpu::trap::Entry;
use kernel::cpu::{registers, vectors};
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::ring3::{Way, enter, go_on};
use kernel::image::{Boot, Image};
use kernel::irq::apic::LocalApic;
use kernel::irq::cause::Cause;
use kernel::irq::interrupt;
use kernel::irq::timer;
use kernel::mm::layout::MAX_CPUS;
use kernel::say;
use kernel::sync::lock::Lock;

kernel::image!(Image { prepare, start, entry, ..Image::DEFAULT });

/// Slices of the thread that loops.
const SLICES: u64 = 20;

/// A CPU's two threads, and the counts of the test.
struct Pair {
    /// The thread that loops, and the thread that calls.
    threads: [user::Setup; 2],
    /// Index of the thread that runs.
    runs: usize,
    /// Number of slices that have ended.
    slices: u64,
    /// Number of interrupts that ended no slice.
    late: u64,
    /// The counter of the thread that loops.
    count: u64,
}

static PAIRS: [Lock<Option<Pair>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Counts in RAX, so that the kernel sees that the thread ran.
#[unsafe(naked)]
unsafe extern "C" fn looping() {
    core::arch::naked_asm!("2: inc rax", "jmp 2b")
}

#[unsafe(naked)]
unsafe extern "C" fn calling() {
    core::arch::naked_asm!("2: syscall", "jmp 2b")
}

fn prepare(boot: &mut Boot) {
    for (cpu, pair) in PAIRS.iter().enumerate() {
        let mut threads = [0, 1].map(|which| user::set_up(boot, cpu as u64 * 2 + which));
        threads[0].load(looping);
        threads[1].load(calling);
        *pair.lock() = Some(Pair { threads, runs: 0, slices: 0, late: 0, count: 0 });
    }
}

fn start(cpu: &mut Cpu) -> ! {
    run(cpu, 0)
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    let (number, before) = (cpu.number(), with_pair(cpu, |pair| pair.runs));
    let vector = match why {
        Entry::SystemCall => {
            assert_eq!(before, 1, "the thread that loops calls nothing");
            LocalApic::here().send(cpu.apic(), vectors::TIMER).expect("the APIC delivers it");
            run(cpu, 0)
        }
        Entry::Interrupt { vector } => vector,
        _ => panic!("{why:?} on CPU {number}"),
    };
    if interrupt::accept(vector) == Cause::Nothing {
        with_pair(cpu, |pair| pair.late += 1);
        // SAFETY: as in `run`.
        unsafe { go_on(cpu) }
    }
    if before == 1 {
        // The thread was just before its call.
        run(cpu, 0)
    }
    let count = cpu.context().map_or(0, |context| context.get(Slot::Eax));
    let slices = with_pair(cpu, |pair| {
        pair.slices += 1;
        pair.count = count;
        pair.slices
    });
    if slices < SLICES {
        run(cpu, 1)
    }
    let (late, count) = with_pair(cpu, |pair| (pair.late, pair.count));
    assert!(late > 0 && count > 0, "CPU {number}: {late} interrupts ended no slice, the loop counted to {count}");
    assert_eq!(interrupt::spurious(), 0);
    if DONE.fetch_add(1, Ordering::SeqCst) + 1 == arrived() {
        say!("{SLICES} slices have ended on each of {} CPUs", arrived());
        power::leave(Reason::Done)
    }
    registers::halt()
}

/// Lets one of the CPU's threads run for a whole slice.
fn run(cpu: &mut Cpu, which: usize) -> ! {
    let thread = with_pair(cpu, |pair| {
        pair.runs = which;
        pair.threads[which].thread
    });
    timer::begin(cpu.number(), true);
    // SAFETY: the thread is this CPU's, and `user_spaces` made its map.
    unsafe { enter(cpu, thread, Way::Iret) }
}

fn with_pair<R>(cpu: &Cpu, f: impl FnOnce(&mut Pair) -> R) -> R {
    f(PAIRS[cpu.number()].lock().as_mut().expect("`prepare` has run"))
}
