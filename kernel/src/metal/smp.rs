//! Starting the other CPUs, one after the other, by INIT and start-up messages.

use super::apic::LocalApic;
use super::boot::{Boot, Error};
use super::cpu::Cpu;
use super::paging::direct;
use super::tables::{self, CpuTables, Gates};
use super::{entry, image, pit, registers, timer};
use crate::frames::Frames;
use crate::layout::MAX_CPUS;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use x86_64::registers::model_specific::Efer;

/// Where an application CPU's first code lies: below 1 MiB, where start-up messages can point, in memory
/// that nothing else uses once the machine has booted.
pub const START_PAGE: u64 = 0x8000;

/// What an application CPU's first code loads.
#[repr(C)]
pub struct ApStart {
    efer: u64,
    root: u64,
    stack: u64,
    cpu: *mut NewCpu,
}

/// Offsets of the fields of [`ApStart`].
pub const AP_EFER: usize = offset_of!(ApStart, efer);
/// See [`AP_EFER`].
pub const AP_ROOT: usize = offset_of!(ApStart, root);
/// See [`AP_EFER`].
pub const AP_STACK: usize = offset_of!(ApStart, stack);
/// See [`AP_EFER`].
pub const AP_CPU: usize = offset_of!(ApStart, cpu);

/// The cell through which CPU 0 talks to the one CPU that is starting.
#[repr(transparent)]
pub struct Mailbox(UnsafeCell<ApStart>);

// SAFETY: CPU 0 writes it while no other CPU is starting; a starting CPU only reads it.
unsafe impl Sync for Mailbox {}

/// What the next CPU to start will find.
pub static AP_START: Mailbox = Mailbox(UnsafeCell::new(ApStart { efer: 0, root: 0, stack: 0, cpu: ptr::null_mut() }));

/// CPUs that have arrived, CPU 0 among them.
static ARRIVED: AtomicUsize = AtomicUsize::new(1);
/// Whether the image's `prepare` has finished.
static RELEASED: AtomicBool = AtomicBool::new(false);
/// The gates, which all CPUs share.
static GATES: AtomicPtr<Gates> = AtomicPtr::new(ptr::null_mut());

/// Microseconds between INIT and the start-up message; enough for every processor of this century.
const INIT_DELAY: u32 = 200;
/// How long a CPU may take to arrive, in steps of [`STEP`] microseconds: 2 seconds.
const STEP: u32 = 10_000;
const STEPS: u32 = 200;

/// APIC numbers of the CPUs.
static APICS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// APIC number of CPU `cpu`, once it runs.
pub fn apic(cpu: usize) -> u32 {
    APICS[cpu].load(Ordering::Relaxed)
}

/// Number of CPUs that run.
pub fn arrived() -> usize {
    ARRIVED.load(Ordering::Acquire)
}

/// Sets the gates that every CPU will load.
pub(super) fn set_gates(gates: &'static mut Gates) {
    GATES.store(gates, Ordering::Release);
}

/// A CPU's block with its tables, before the CPU uses them.
pub struct NewCpu {
    cpu: &'static mut Cpu,
    tables: &'static CpuTables,
}

/// Makes the block and tables of CPU `number`.
///
/// # Safety
/// The CPU's stacks are mapped, and nobody is on them.
pub(super) unsafe fn new_cpu(frames: &mut Frames, number: usize, apic: u32, root: u64) -> Result<NewCpu, Error> {
    APICS[number].store(apic, Ordering::Relaxed);
    let cpu = tables::keep(frames, Cpu::new(number, apic, root))?;
    let block = cpu.fix();
    // SAFETY: the caller vouches for the stacks.
    let tables = unsafe { tables::build(frames, number, block) }?;
    Ok(NewCpu { cpu, tables })
}

/// Makes the CPU that runs this use its tables and its block.
///
/// # Safety
/// The block was made for this CPU.
pub(super) unsafe fn settle(new: NewCpu) -> &'static mut Cpu {
    let NewCpu { cpu, tables } = new;
    // SAFETY: `set_gates` came before any CPU settles, and the gates live for ever.
    let gates = unsafe { &*GATES.load(Ordering::Acquire) };
    // SAFETY: the tables are this CPU's; the block lives for ever; the stub and the GDT fit each other.
    unsafe {
        tables::load(tables, gates);
        registers::set_gs(ptr::from_mut(cpu).addr() as u64);
        registers::set_system_call_entries(entry::syscall_address(), entry::compatible_address());
    }
    cpu
}

/// Starts every CPU of the list but this one.
pub(super) fn start_others(boot: &mut Boot) -> Result<(), Error> {
    let apic = LocalApic::enable().map_err(Error::Apic)?;
    copy_start_code();
    let others = boot.cpus;
    let others = others.ids().iter().copied().filter(|&id| id != apic.id());
    for (number, id) in (1..).zip(others) {
        // SAFETY: the stacks of all CPUs in the list are mapped, and CPU `number` does not run yet.
        let new = unsafe { new_cpu(&mut boot.frames, number, id, boot.root) }?;
        start(apic, id, tables::keep(&mut boot.frames, new)?, boot.root)?;
    }
    Ok(())
}

fn copy_start_code() {
    unsafe extern "C" {
        static ap_code: u8;
        static ap_code_end: u8;
    }
    let code = &raw const ap_code;
    let length = (&raw const ap_code_end).addr() - code.addr();
    // SAFETY: the code is less than a page; nothing uses the page at `START_PAGE` any more, since the boot
    // loader's data has been read.
    unsafe { direct::<u8>(START_PAGE).copy_from_nonoverlapping(code, length) };
}

fn start(apic: LocalApic, id: u32, new: &'static mut NewCpu, root: u64) -> Result<(), Error> {
    let before = arrived();
    let number = new.cpu.number();
    let start = ApStart {
        efer: Efer::read_raw() & !EFER_ACTIVE,
        root,
        stack: crate::stacks::Stack::Kernel.range(number).end,
        cpu: ptr::from_mut(new),
    };
    // SAFETY: no CPU is starting now, so nobody reads the mailbox.
    unsafe { AP_START.0.get().write(start) };
    apic.send_init(id);
    // SAFETY: only CPU 0 uses the timer, and it does one thing at a time.
    unsafe { pit::wait(INIT_DELAY, || false) };
    for step in 0..STEPS {
        // The second message, which the manuals ask for, is for CPUs that missed the first.
        if step < 2 {
            // SAFETY: the code at `START_PAGE` is complete and finds everything in the mailbox.
            unsafe { apic.send_startup(id, START_PAGE) };
        }
        // SAFETY: as above.
        unsafe { pit::wait(STEP, || arrived() > before) };
        if arrived() > before {
            return Ok(());
        }
    }
    Err(Error::CpuMissing(id))
}

/// `LMA` of EFER, which the processor sets itself.
const EFER_ACTIVE: u64 = 1 << 10;

/// Lets the other CPUs into the image's `start`.
pub(super) fn release_others() {
    RELEASED.store(true, Ordering::Release);
}

/// An application CPU's first Rust code, on its own stack and the kernel's page map.
pub(super) extern "C" fn ap_main(new: *mut NewCpu) -> ! {
    // SAFETY: the mailbox held this CPU's own, which CPU 0 has let go of.
    let new = unsafe { new.read() };
    // SAFETY: the block is this CPU's.
    let cpu = unsafe { settle(new) };
    // SAFETY: the kernel's page map fits CPU 0's settings, which these repeat.
    unsafe { registers::protect() };
    match LocalApic::enable() {
        Ok(apic) => timer::set_up(apic),
        // CPU 0 will miss this CPU and say so.
        Err(_) => registers::halt(),
    }
    ARRIVED.fetch_add(1, Ordering::Release);
    while !RELEASED.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
    (image().start)(cpu)
}
