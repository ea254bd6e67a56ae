//! Starts the other CPUs, one after the other, by INIT and start-up messages.

use super::error::BootError;
use crate::cpu::block::Cpu;
use crate::cpu::registers;
use crate::cpu::running;
use crate::cpu::tables::{self, CpuTables, Gates};
use crate::devices::clock::Clock;
use crate::devices::counter::Stopped;
use crate::entry::stubs;
use crate::handover::acpi::CpuList;
use crate::image::{Boot, image};
use crate::irq::apic::{LocalApic, Undelivered};
use crate::irq::timer;
use crate::mm::direct_map::direct;
use crate::mm::frames::Frames;
use crate::mm::keep::keep;
use crate::sync::arrival::Arrival;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use x86_64::registers::model_specific::Efer;

/// Physical address of an application CPU's first code. It is below 1 MiB, so start-up messages can name it.
/// Nothing else uses this page once the machine has booted.
pub const START_PAGE: u64 = 0x8000;

/// The values that an application CPU's first code loads.
#[repr(C)]
pub struct ApStart {
    efer: u64,
    root: u64,
    stack: u64,
    /// The new CPU's own data; null once the CPU has taken it.
    cpu: AtomicPtr<NewCpu>,
}

/// Offsets of the fields of [`ApStart`].
pub const AP_EFER: usize = offset_of!(ApStart, efer);
/// See [`AP_EFER`].
pub const AP_ROOT: usize = offset_of!(ApStart, root);
/// See [`AP_EFER`].
pub const AP_STACK: usize = offset_of!(ApStart, stack);
/// See [`AP_EFER`].
pub const AP_CPU: usize = offset_of!(ApStart, cpu);

/// The mailbox through which CPU 0 passes data to the CPU that is starting; there is only one at a
/// time.
#[repr(transparent)]
pub struct Mailbox(UnsafeCell<ApStart>);

// SAFETY: CPU 0 writes it while no other CPU is starting; a starting CPU only reads it, except `cpu`, which is atomic.
unsafe impl Sync for Mailbox {}

/// The values for the next CPU that starts.
pub static AP_START: Mailbox =
    Mailbox(UnsafeCell::new(ApStart { efer: 0, root: 0, stack: 0, cpu: AtomicPtr::new(ptr::null_mut()) }));

/// Whether the CPU that is being started has arrived.
static ARRIVAL: Arrival = Arrival::new();
/// Whether the image's `prepare` has finished.
static RELEASED: AtomicBool = AtomicBool::new(false);
/// The gates, which all CPUs share.
static GATES: AtomicPtr<Gates> = AtomicPtr::new(ptr::null_mut());

/// Microseconds between INIT and the start-up message, enough for every processor of this century.
const INIT_DELAY: u32 = 200;
/// Time limit for a CPU to arrive: [`STEPS`] steps of [`STEP`] microseconds, which is 2 seconds.
const STEP: u32 = 10_000;
const STEPS: u32 = 200;

/// Sets the gates that every CPU loads.
pub(crate) fn set_gates(gates: &'static mut Gates) {
    GATES.store(gates, Ordering::Release);
}

/// The block and tables of a CPU that does not use them yet.
pub struct NewCpu {
    cpu: &'static mut Cpu,
    tables: &'static CpuTables,
    /// The number of this attempt to start a CPU; see [`Arrival`].
    attempt: u32,
}

/// Makes the block and tables of CPU `number`.
///
/// # Safety
/// The CPU's stacks are mapped, and nothing uses them.
pub(crate) unsafe fn new_cpu(frames: &mut Frames, number: usize, apic: u32, root: u64) -> Result<NewCpu, BootError> {
    running::set_apic(number, apic);
    let cpu = keep(frames, Cpu::new(number, apic, root))?;
    let block = cpu.fix();
    // SAFETY: the caller ensures this for the stacks.
    let tables = unsafe { tables::build(frames, number, block) }?;
    Ok(NewCpu { cpu, tables, attempt: 0 })
}

/// Makes the CPU that runs this function use its tables and its block.
///
/// # Safety
/// The block was made for this CPU.
pub(crate) unsafe fn install(new: NewCpu) -> &'static mut Cpu {
    let NewCpu { cpu, tables, .. } = new;
    // SAFETY: `set_gates` is called before any CPU installs its tables, and the gates are never freed.
    let gates = unsafe { &*GATES.load(Ordering::Acquire) };
    // SAFETY: the tables are this CPU's; the block is never freed; the stub and the GDT fit each other.
    unsafe {
        tables::load(tables, gates);
        registers::set_gs(ptr::from_mut(cpu).addr() as u64);
        registers::set_system_call_entries(stubs::syscall_address(), stubs::compatible_address());
    }
    cpu
}

/// Why a CPU does not run.
#[derive(Debug, thiserror::Error)]
enum NotStarted {
    /// The CPU has not arrived in time.
    #[error("it does not start")]
    Silent,
    /// The messages to the CPU could not be delivered.
    #[error("the local APIC does not deliver messages to it")]
    Undelivered(#[from] Undelivered),
    /// The time that the CPU takes could not be measured.
    #[error(transparent)]
    Clock(#[from] Stopped),
}

/// Starts every CPU of the list but this one. Afterwards the list has only the CPUs that run: the machine continues
/// without the others, and reports them.
pub(crate) fn start_others(boot: &mut Boot) -> Result<(), BootError> {
    let apic = LocalApic::enable().map_err(BootError::Apic)?;
    copy_start_code();
    let wanted = boot.cpus;
    let mut list = CpuList::of(apic.id());
    list.left_out = wanted.left_out;
    let others = wanted.ids().iter().copied().filter(|&id| id != apic.id());
    for (attempt, id) in (1..).zip(others) {
        let number = list.ids().len();
        // SAFETY: the stacks of all CPUs in the list are mapped. CPU `number` does not run: if an earlier CPU
        // failed to start with this number, it was stopped.
        let new = unsafe { new_cpu(&mut boot.frames, number, id, boot.root) }?;
        let new = keep(&mut boot.frames, NewCpu { attempt, ..new })?;
        match start(apic, boot.clock, id, new, boot.root) {
            Ok(()) => {
                list.add(id);
                running::set_arrived(list.ids().len());
            }
            Err(reason) => crate::say!("cairn: the CPU with APIC number {id} is not used: {reason}"),
        }
    }
    boot.cpus = list;
    Ok(())
}

fn copy_start_code() {
    unsafe extern "C" {
        static ap_code: u8;
        static ap_code_end: u8;
    }
    let code = &raw const ap_code;
    let length = (&raw const ap_code_end).addr() - code.addr();
    // SAFETY: the code is shorter than a page; nothing uses the page at `START_PAGE` any more, since the boot loader's
    // data has been read.
    unsafe { direct::<u8>(START_PAGE).copy_from_nonoverlapping(code, length) };
}

/// Starts the CPU with APIC number `id`. If a CPU fails to start, it is made to wait for a start-up message, which
/// never comes.
fn start(apic: LocalApic, clock: Clock, id: u32, new: &'static mut NewCpu, root: u64) -> Result<(), NotStarted> {
    let attempt = new.attempt;
    let start = ApStart {
        efer: Efer::read_raw() & !EFER_ACTIVE,
        root,
        stack: crate::mm::stacks::Stack::Kernel.range(new.cpu.number()).end,
        cpu: AtomicPtr::new(ptr::from_mut(new)),
    };
    // SAFETY: no CPU is starting now, so no CPU reads the mailbox. A CPU that comes too late reads only `cpu`, and
    // finds null or is stopped.
    unsafe { AP_START.0.get().write(start) };
    ARRIVAL.expect(attempt);
    let called = call(apic, clock, id);
    if ARRIVAL.give_up(attempt) {
        // SAFETY: `cpu` is atomic.
        unsafe { &(*AP_START.0.get()).cpu }.store(ptr::null_mut(), Ordering::Release);
        // The CPU is left alone whether or not that message arrives.
        let _ = apic.send_init(id);
        return Err(called.err().unwrap_or(NotStarted::Silent));
    }
    Ok(())
}

/// Sends the messages that start the CPU with APIC number `id`, and waits until it has arrived, or at most 2 seconds.
fn call(apic: LocalApic, clock: Clock, id: u32) -> Result<(), NotStarted> {
    apic.send_init(id)?;
    clock.wait(INIT_DELAY, || false)?;
    for step in 0..STEPS {
        // The manuals ask for the second message, for CPUs that missed the first.
        if step < 2 {
            // SAFETY: the code at `START_PAGE` is complete, and the mailbox contains all that it
            // needs.
            unsafe { apic.send_startup(id, START_PAGE) }?;
        }
        clock.wait(STEP, || ARRIVAL.has_arrived())?;
        if ARRIVAL.has_arrived() {
            break;
        }
    }
    Ok(())
}

/// `LMA` of EFER, which the processor sets by itself.
const EFER_ACTIVE: u64 = 1 << 10;

/// Lets the other CPUs into the image's `start`.
pub(crate) fn release_others() {
    RELEASED.store(true, Ordering::Release);
}

/// An application CPU's first Rust code, on its own stack and the kernel's page map.
pub(crate) extern "C" fn ap_main(new: *mut NewCpu) -> ! {
    // SAFETY: the mailbox held this CPU's own data. CPU 0 no longer uses it, and no other CPU has taken it.
    let new = unsafe { new.read() };
    let attempt = new.attempt;
    // SAFETY: the block is this CPU's.
    let cpu = unsafe { install(new) };
    // SAFETY: the kernel's page map fits CPU 0's settings, and these are the same.
    unsafe { registers::protect() };
    match LocalApic::enable() {
        Ok(apic) if apic.id() == cpu.apic() => timer::set_up(apic),
        // CPU 0 notices that this CPU has not arrived, and reports it.
        _ => registers::halt(),
    }
    if !ARRIVAL.arrive(attempt) {
        registers::halt();
    }
    while !RELEASED.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
    (image().start)(cpu)
}
