//! The way from the boot code to the image's hooks, on CPU 0.

use super::error::{BootError, LEAST_USER_BYTES};
use super::smp;
use crate::cpu::block::{Cpu, run_afresh};
use crate::cpu::registers::{self, Protections};
use crate::cpu::tables;
use crate::devices::clock::Clock;
use crate::devices::exit::Reason;
use crate::devices::power::refuse;
use crate::devices::{console, power};
use crate::guest;
use crate::handover::acpi::{self, Controllers};
use crate::handover::archive::Archive;
use crate::handover::options::{self, Options};
use crate::handover::symbols::{self, Symbols};
use crate::handover::{multiboot2, pvh, start_info};
use crate::image::Boot;
use crate::image::image;
use crate::irq::{apic, io_apic, timer};
use crate::machine::Metal;
use crate::mm::direct_map::direct;
use crate::mm::frames::Frames;
use crate::mm::keep::keep;
use crate::mm::layout::{DIRECT_MAP_SIZE, KERNEL_MEMORY_START, PAGE_SIZE, USER_FRAMES_START};
use crate::mm::paging;
use crate::report;
use crate::storage::page_entry;
use crate::sync::lock;
use crate::sync::lock::Lock;
use core::arch::global_asm;
use core::ops::Range;
use core::slice;

global_asm!(
    include_str!("boot.s"),
    cr0 = const 0x8001_0033u32, // PG, WP, NE, ET, MP, PE
    cr4 = const 0x620, // OSXMMEXCPT, OSFXSR, PAE: compiled code uses SSE
    efer = const 0xC000_0080u32,
    efer_long = const 0x100, // LME
    table = const 3, // present, writable
    large_page = const 0x83, // present, writable, 2 MiB
    start_page = const smp::START_PAGE,
    start = sym start,
    ap_start = sym smp::AP_START,
    ap_efer = const smp::AP_EFER,
    ap_root = const smp::AP_ROOT,
    ap_stack = const smp::AP_STACK,
    ap_cpu = const smp::AP_CPU,
    ap_main = sym smp::ap_main,
    needed = const registers::NEEDED,
    debug_port = const console::DEBUG_PORT,
    escape = const abi::console::ESCAPE,
    end = const abi::console::END,
    refused = const Reason::Refused as u8,
    qemu_exit = const power::QEMU_EXIT,
    bochs_exit = const power::BOCHS_EXIT,
    com1 = const console::COM1,
);
abi::memory_functions!("");
global_asm!(
    // The prebuilt core refers to these two symbols for unwinding, which never happens in an image.
    ".pushsection .text",
    ".globl rust_eh_personality, _Unwind_Resume",
    "rust_eh_personality:",
    "_Unwind_Resume:",
    "ud2",
    ".popsection",
);

/// The first Rust code, on the boot code's page map and stack.
extern "C" fn start(start_info: u32, magic: u32) -> ! {
    // SAFETY: this is CPU 0, once; the boot code's code segment is the kernel's, and its segments are in use.
    unsafe {
        tables::load_early_gates();
        console::init();
    }
    // SAFETY: as above.
    match unsafe { set_up(start_info.into(), magic) } {
        Ok(cpu) => run_afresh(cpu, go),
        Err(error) => refuse(error),
    }
}

/// Passes the boot data from `start` to `go`.
static BOOT: Lock<Option<Boot>> = Lock::new(None);

/// Boots up to the point where CPU 0 is ready for its own stack, page map and tables.
///
/// # Safety
/// Called once, by CPU 0, on the boot code's page map.
unsafe fn set_up(start_info: u64, magic: u32) -> Result<&'static mut Cpu, BootError> {
    if let Some(missing) = registers::missing() {
        return Err(BootError::Processor(missing));
    }
    let read = |range: Range<u64>| {
        let length = range.end.checked_sub(range.start)?;
        if range.end > DIRECT_MAP_SIZE {
            return None;
        }
        // SAFETY: the boot code's direct map covers the first 4 GiB, and nothing is written there meanwhile.
        Some(unsafe { slice::from_raw_parts(direct::<u8>(range.start), length as usize) })
    };
    let info = match magic {
        multiboot2::MAGIC => multiboot2::parse(start_info, read),
        _ => pvh::parse(start_info, read),
    };
    let info = info.map_err(BootError::StartInfo)?;
    let options = Options::parse(info.command_line).map_err(|options::Unknown(word)| {
        // SAFETY: the text is in the boot loader's memory. Nothing is written to that memory before the text is
        // printed.
        BootError::Option(options::Unknown(unsafe { &*core::ptr::from_ref(word) }))
    })?;
    // SAFETY: no other CPU runs, and no lock is held.
    unsafe { lock::choose(options.lock) };
    let users = Frames::of_users(&info.map)?.free_bytes();
    if users < LEAST_USER_BYTES {
        return Err(BootError::UserMemory(users));
    }
    let Controllers { cpus, io_apic, com1, is_whole } =
        acpi::controllers(info.rsdp, registers::apic_number(), read).map_err(BootError::Controllers)?;
    if !is_whole {
        crate::say!("cairn: the ACPI table of CPUs (MADT) is damaged: its entries after the damage are ignored");
    }
    // A table that claims a device at some address is not enough reason for the kernel to write
    // there.
    if info.map.is_memory(io_apic..io_apic + PAGE_SIZE) {
        return Err(BootError::Controllers(acpi::AcpiError::NoIoApic));
    }
    let mut clocks = acpi::clocks::clocks(info.rsdp, read);
    clocks.hpet = clocks.hpet.filter(|&hpet| !info.map.is_memory(hpet..hpet + PAGE_SIZE));

    // Up to here only the image's own memory is written, so nothing that the boot loader handed over is overwritten
    // before it is read. By now all of it except the archive has been read.
    let mut frames = Frames::new(&info.map, KERNEL_MEMORY_START..USER_FRAMES_START)?;
    let image = KERNEL_MEMORY_START..paging::image_parts().data.end;
    frames.exclude(image.clone())?;
    let archive = match info.archive {
        None => None,
        Some(range) => {
            let bytes = read(range.clone()).filter(|_| range.start >= image.end || range.end <= image.start);
            let bytes = bytes.ok_or(BootError::StartInfo(start_info::StartInfoError::Unreadable))?;
            frames.exclude(range.clone())?;
            Some(keep_archive(&mut frames, range, bytes)?)
        }
    };
    if let Some(text) = archive.as_ref().and_then(|archive| archive.find_text(symbols::FILE)) {
        report::set_symbols(keep(&mut frames, Symbols::new(text))?);
    }

    // SAFETY: the boot code's page map sets no NX bit and no user bit.
    let protections = unsafe { registers::protect() };
    if protections.nx {
        page_entry::forbid_fetches::<Metal>();
    }
    // SAFETY: the boot code's direct map is in use; `frames` leaves out all memory in use.
    let root = unsafe { paging::build(&mut frames, &info.map, protections.nx, cpus.ids().len()) }?;
    // SAFETY: the new map has the image at the same address, and no user pages. This code runs from the image, and its
    // stack, in the image's data, is mapped too.
    unsafe { x86_64::registers::control::Cr3::write_raw(frame(root), 0) };

    apic::mask_legacy_controllers();
    let apic = apic::LocalApic::enable().map_err(BootError::Apic)?;
    // SAFETY: `clocks` has no HPET where there is memory, so the new map has the HPET's registers uncached. Only boot
    // uses the clocks, and no other CPU runs.
    let clock = unsafe { Clock::find(clocks) }.ok_or(BootError::NoClock)?;
    timer::calibrate(apic, clock).map_err(BootError::Timer)?;
    timer::set_up(apic);
    smp::set_gates(keep(&mut frames, tables::build_gates())?);
    // SAFETY: CPU 0's stacks are mapped, and nothing uses them yet.
    let cpu = unsafe { smp::new_cpu(&mut frames, 0, apic.id(), root) }?;
    // SAFETY: the block is this CPU's.
    let cpu = unsafe { smp::install(cpu) };
    // SAFETY: the firmware reports an I/O APIC, and no other CPU runs.
    let io_apic_lines = unsafe { io_apic::set_up(io_apic, com1, apic.id()) };
    *BOOT.lock() = Some(Boot { memory: info.map, frames, archive, cpus, clock, io_apic_lines, protections, root });
    Ok(cpu)
}

fn frame(address: u64) -> x86_64::structures::paging::PhysFrame {
    x86_64::structures::paging::PhysFrame::containing_address(x86_64::PhysAddr::new(address))
}

/// The archive, whose bytes are at `range`, which `frames` leaves out. Bytes outside kernel memory are copied into it,
/// because the boot loader may have put the archive among the users' frames.
fn keep_archive(frames: &mut Frames, range: Range<u64>, bytes: &'static [u8]) -> Result<Archive<'static>, BootError> {
    let kept = if range.start >= KERNEL_MEMORY_START && range.end <= USER_FRAMES_START {
        bytes
    } else {
        let length = bytes.len();
        let count = (length as u64).div_ceil(PAGE_SIZE);
        let at = frames.allocate(count, PAGE_SIZE).map_err(|_| BootError::LargeArchive(length as u64))?;
        // SAFETY: the frames were free, so they do not overlap the source. They are never given back.
        unsafe {
            direct::<u8>(at).copy_from_nonoverlapping(bytes.as_ptr(), length);
            slice::from_raw_parts(direct::<u8>(at), length)
        }
    };
    Archive::new(kept).map_err(BootError::Archive)
}

/// Runs on CPU 0's own stack: starts the other CPUs, writes the boot report, and runs the image's hooks.
fn go(cpu: &mut Cpu) -> ! {
    let Some(mut boot) = BOOT.lock().take() else { unreachable!("`start` has filled it") };
    if let Err(error) = smp::start_others(&mut boot) {
        refuse(error);
    }
    describe(&boot);
    (image().prepare)(&mut boot);
    smp::release_others();
    (image().start)(cpu)
}

/// The boot report: the features of the machine, and the missing ones.
fn describe(boot: &Boot) {
    let cpus = boot.cpus.ids().len();
    crate::say!("cairn: {cpus} CPU{}, {} locks", if cpus == 1 { "" } else { "s" }, lock::chosen());
    if boot.cpus.left_out > 0 {
        crate::say!("cairn: {} more CPUs are left alone", boot.cpus.left_out);
    }
    crate::say!("cairn: time is measured by {}", boot.clock);
    // `set_up` has already checked that there are few enough ranges.
    let users = Frames::of_users(&boot.memory).map_or(0, |frames| frames.free_bytes());
    crate::say!(
        "cairn: {} MiB of memory, {} MiB of it for users, {} MiB for the kernel",
        boot.memory.ram_bytes() >> 20,
        users >> 20,
        boot.frames.free_bytes() >> 20
    );
    if boot.memory.bytes_beyond() > 0 {
        crate::say!("cairn: {} MiB of memory from 4 GiB on are left alone", boot.memory.bytes_beyond() >> 20);
    }
    let Protections { nx, smep, smap, umip, machine_check } = boot.protections;
    let parts = [
        ("NX (data can be executed)", ", NX (no page is writable and executable)", nx),
        ("SMEP", ", SMEP", smep),
        ("SMAP", ", SMAP", smap),
        ("UMIP", ", UMIP", umip),
        ("machine checks (an error of the hardware's resets the machine)", "", machine_check),
        ("COM1 (nothing can be typed)", "", console::has_serial(console::OWNER)),
        ("COM1's line of the I/O APIC (nothing can be typed)", "", io_apic::has_com1()),
    ];
    let on = parts.map(|(_, text, on)| if on { text } else { "" });
    crate::say!("cairn: protections: write-protected code{}{}{}{}{}", on[0], on[1], on[2], on[3], on[4]);
    for (name, ..) in parts.into_iter().filter(|(.., on)| !on) {
        crate::say!("cairn: missing: {name}");
    }
    match guest::fields::find() {
        Ok(kind) => crate::say!("cairn: guests by {}", kind.name()),
        Err(missing) => crate::say!("cairn: missing: guests ({missing})"),
    }
    match &boot.archive {
        None => crate::say!("cairn: no boot archive"),
        Some(archive) => {
            for file in archive.files() {
                crate::say!("cairn: boot archive: {} ({} bytes)", file.name, file.data.len());
            }
        }
    }
}
