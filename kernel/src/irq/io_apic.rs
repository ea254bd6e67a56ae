//! The I/O APIC. The kernel uses one of its lines: that of COM1.

use crate::cpu::vectors;
use crate::handover::acpi::Wire;
use crate::mm::direct_map::direct;
use crate::sync::lock::Lock;
use layer::core::constants::COM1_LINE;

/// Offset at which the number of a register is written.
const SELECT: u64 = 0;
/// Offset at which the chosen register appears.
const WINDOW: u64 = 0x10;
/// The version register; its bits 16 to 23 are the number of the last line.
const VERSION: u32 = 1;
/// The first of the two registers of line 0; those of line `n` are `2 * n` further. The top byte of the second is the
/// CPU's APIC number.
const FIRST_LINE: u32 = 0x10;
/// The maximum number of lines: a register's number has 8 bits.
const MOST_LINES: u32 = (0x100 - FIRST_LINE) / 2;
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// The machine's I/O APIC, once it has been set up.
static IO_APIC: Lock<Option<IoApic>> = Lock::new(None);

/// The I/O APIC.
struct IoApic {
    registers: u64,
    /// Number of lines.
    lines: u32,
    /// The register of COM1's line, and its value without the mask, if the line exists.
    com1: Option<(u32, u32)>,
}

/// Where an interrupt of a line goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// The vector.
    pub vector: u8,
    /// Whether the line is masked.
    pub masked: bool,
    /// The APIC number of the CPU.
    pub apic: u32,
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

    /// The first register of a line, by its number in the layer. COM1 has [`COM1_LINE`] there. If it is wired to
    /// another line, the two have changed places.
    fn register(&self, line: u32) -> u32 {
        let plain = |line| FIRST_LINE + 2 * line;
        match self.com1 {
            Some((com1, _)) if line == COM1_LINE => com1,
            Some((com1, _)) if plain(line) == com1 => plain(COM1_LINE),
            _ => plain(line),
        }
    }
}

/// Masks all lines of the I/O APIC whose registers are at physical address `base`, and gives them their vectors. Wires
/// `com1`, masked as well, to the CPU with this APIC number, if the line exists. Returns the number of lines.
///
/// # Safety
/// There is an I/O APIC, in the direct map, and nothing else uses it.
pub unsafe fn set_up(base: u64, com1: Wire, apic: u32) -> u32 {
    let Wire { line, active_low, level } = com1;
    let how = if active_low { ACTIVE_LOW } else { 0 } | if level { LEVEL } else { 0 };
    let mut io_apic = IoApic { registers: base, lines: 0, com1: None };
    let lines = ((io_apic.read(VERSION) >> 16 & 0xFF) + 1).min(MOST_LINES);
    io_apic.lines = lines;
    // The tables may name any line: the arithmetic is in range only for an existing one.
    io_apic.com1 =
        (line < lines && COM1_LINE < lines).then_some((FIRST_LINE + 2 * line, u32::from(vectors::COM1) | how));
    for line in 0..lines {
        io_apic.write(io_apic.register(line), MASKED | u32::from(vectors::FIRST_LINE) + line);
    }
    if let Some((register, entry)) = io_apic.com1 {
        io_apic.write(register + 1, apic << 24);
        io_apic.write(register, entry | MASKED);
    }
    *IO_APIC.lock() = Some(io_apic);
    lines
}

/// Whether COM1 is wired to the I/O APIC.
pub fn has_com1() -> bool {
    IO_APIC.lock().as_ref().is_some_and(|io_apic| io_apic.com1.is_some())
}

/// Unmasks COM1's line, or masks it.
pub fn open_com1(open: bool) {
    if let Some(io_apic) = &*IO_APIC.lock()
        && let Some((register, entry)) = io_apic.com1
    {
        io_apic.write(register, entry | if open { 0 } else { MASKED });
    }
}

/// Number of lines; 0 before [`set_up`].
pub fn lines() -> u32 {
    IO_APIC.lock().as_ref().map_or(0, |io_apic| io_apic.lines)
}

/// The route of a line, by its number in the layer, if the line exists.
pub fn route(line: u32) -> Option<Route> {
    let io_apic = IO_APIC.lock();
    let io_apic = io_apic.as_ref().filter(|io_apic| line < io_apic.lines)?;
    let register = io_apic.register(line);
    let (low, high) = (io_apic.read(register), io_apic.read(register + 1));
    Some(Route { vector: low as u8, masked: low & MASKED != 0, apic: high >> 24 })
}
