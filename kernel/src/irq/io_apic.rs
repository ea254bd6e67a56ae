//! The I/O APIC. The kernel uses one of its lines: that of COM1.

use crate::handover::acpi::Wire;
use crate::mm::direct_map::direct;
use crate::sync::lock::Lock;

/// Offset at which the number of a register is written.
const SELECT: u64 = 0;
/// Offset at which the chosen register appears.
const WINDOW: u64 = 0x10;
/// The version register; its bits 16 to 23 are the number of the last line.
const VERSION: u32 = 1;
/// The first of the two registers of line 0; those of line `n` are `2 * n` further. The top byte of the second is the
/// CPU's APIC number.
const FIRST_LINE: u32 = 0x10;
/// Most lines: a register's number has 8 bits.
const MOST_LINES: u32 = (0x100 - FIRST_LINE) / 2;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// The machine's I/O APIC, once it has been set up.
static IO_APIC: Lock<Option<IoApic>> = Lock::new(None);

/// The I/O APIC that COM1 is wired to.
struct IoApic {
    registers: u64,
    /// The register of COM1's line, and its value without the mask.
    com1: (u32, u32),
}

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: The caller of `set_up` ensures that the device exists and is in the direct map, uncached. Selecting
        // and reading have no other effect, and the callers' lock keeps the two accesses together.
        unsafe {
            direct::<u32>(self.registers + SELECT).write_volatile(register);
            direct::<u32>(self.registers + WINDOW).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as in `read`; the lines written here raise only vectors that `interrupt` handles.
        unsafe {
            direct::<u32>(self.registers + SELECT).write_volatile(register);
            direct::<u32>(self.registers + WINDOW).write_volatile(value);
        }
    }
}

/// Masks all lines of the I/O APIC whose registers are at physical address `base`. Wires `com1`, masked as well, to
/// this vector of the CPU with this APIC number, if the line exists. Returns the number of lines.
///
/// # Safety
/// There is an I/O APIC, in the direct map, and nothing else uses it.
pub unsafe fn set_up(base: u64, com1: Wire, vector: u8, apic: u32) -> u32 {
    let Wire { line, active_low, level } = com1;
    let how = if active_low { ACTIVE_LOW } else { 0 } | if level { LEVEL } else { 0 };
    let mut io_apic = IoApic { registers: base, com1: (0, u32::from(vector) | how) };
    let lines = ((io_apic.read(VERSION) >> 16 & 0xFF) + 1).min(MOST_LINES);
    (0..lines).for_each(|line| io_apic.write(FIRST_LINE + 2 * line, MASKED));
    // The tables may name any line: the arithmetic below is in range only for an existing one.
    if line < lines {
        io_apic.com1.0 = FIRST_LINE + 2 * line;
        io_apic.write(io_apic.com1.0 + 1, apic << 24);
        io_apic.write(io_apic.com1.0, io_apic.com1.1 | MASKED);
        *IO_APIC.lock() = Some(io_apic);
    }
    lines
}

/// Whether COM1 is wired to the I/O APIC.
pub fn has_com1() -> bool {
    IO_APIC.lock().is_some()
}

/// Unmasks COM1's line, or masks it.
pub fn open_com1(open: bool) {
    if let Some(io_apic) = &*IO_APIC.lock() {
        let (register, entry) = io_apic.com1;
        io_apic.write(register, entry | if open { 0 } else { MASKED });
    }
}
