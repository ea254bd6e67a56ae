//! The local APIC, through its page of registers. It runs in xAPIC mode, in which the firmware of every known machine
//! leaves it.

use crate::cpu::vectors;
use crate::mm::direct_map::direct;
use crate::mm::layout::DIRECT_MAP_SIZE;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

/// `IA32_APIC_BASE`: bit 10 is x2APIC mode, bit 11 enables the APIC, bits 12 and up are the registers' address.
const APIC_BASE: u32 = 0x1B;
const X2APIC_MODE: u64 = 1 << 10;
const ADDRESS: u64 = 0xffff_ffff_f000;

/// Registers, by offset.
const ID: u64 = 0x20;
/// Bits 16 to 23 are the number of the last entry of the local vector table.
const VERSION: u64 = 0x30;
const PRIORITY: u64 = 0x80;
const END_OF_INTERRUPT: u64 = 0xB0;
/// The logical number is the top byte.
const LOGICAL: u64 = 0xD0;
const SPURIOUS: u64 = 0xF0;
/// The first of eight registers, 16 bytes apart, with a bit for each vector whose interrupt is being handled.
const IN_SERVICE: u64 = 0x100;
/// The errors that were found before the last write to the register.
const ERRORS: u64 = 0x280;
const COMMAND_LOW: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
const TIMER: u64 = 0x320;
/// Entry 4 of the local vector table: the performance counters.
const COUNTERS: u64 = 0x340;
const LINT0: u64 = 0x350;
const LINT1: u64 = 0x360;
/// The entry of the APIC's own errors.
const ERROR: u64 = 0x370;
const TIMER_START: u64 = 0x380;
const TIMER_LEFT: u64 = 0x390;
const TIMER_DIVIDER: u64 = 0x3E0;

/// Software enable; it shares its register with the vector of spurious interrupts.
const ENABLE: u32 = 1 << 8;
/// The timer counts every 16th tick of its clock.
const DIVIDE_BY_16: u32 = 0b0011;
const MASKED: u32 = 1 << 16;
/// Delivery mode NMI.
const NMI: u32 = 0x400;
/// Interrupt commands: level assert with delivery mode fixed, NMI, INIT or start-up.
const SEND_FIXED: u32 = 0x4000;
const SEND_NMI: u32 = 0x4400;
const SEND_INIT: u32 = 0x4500;
const SEND_STARTUP: u32 = 0x4600;
const PENDING: u32 = 1 << 12;
/// How often a pending command is polled before it is given up. Delivery takes microseconds.
const PENDING_TRIES: u32 = 1_000_000;

/// Physical address of the registers; each CPU finds its own APIC there. 0 before the first [`LocalApic::enable`].
static REGISTERS: AtomicU64 = AtomicU64::new(0);

/// The part of the description of every local APIC in which machines differ. [`LocalApic::enable`] writes it to the
/// registers, and the layer's `lapic` has the same values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description {
    /// Vector of spurious interrupts.
    pub spurious: u8,
    /// Vector of errors.
    pub error: u8,
    /// Whether input 1, which brings NMIs, is masked.
    pub lint1_masked: bool,
}

/// The description of every local APIC.
pub const DESCRIPTION: Description =
    Description { spurious: vectors::SPURIOUS, error: vectors::ERROR, lint1_masked: false };

/// What the registers of a local APIC say, except for those of its timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The values in which machines differ.
    pub description: Description,
    /// Number of the last entry of the local vector table.
    pub last_entry: u8,
    /// Whether the APIC is enabled.
    pub enabled: bool,
    /// Whether input 0 is masked.
    pub lint0_masked: bool,
    /// Whether the performance counters' input is masked, or missing.
    pub counters_masked: bool,
    /// The logical number.
    pub logical: u8,
    /// The task priority.
    pub priority: u32,
    /// The errors that were found.
    pub errors: u32,
    /// Whether an interrupt is being handled, so that its end is outstanding.
    pub in_service: bool,
}

/// Why the kernel cannot drive the local APIC as the firmware left it (the environment's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unusable {
    /// It is in x2APIC mode.
    #[error("its firmware left the local APIC in x2APIC mode")]
    InX2ApicMode,
    /// Its registers lie outside the direct map.
    #[error("its firmware put the local APIC above 4 GiB")]
    OutOfReach,
}

/// The local APIC has not delivered a message to another CPU (the machine's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("its local APIC does not deliver messages to other CPUs")]
pub struct Undelivered;

/// The local APIC of the CPU that runs this code.
#[derive(Clone, Copy, Debug)]
pub struct LocalApic {
    registers: u64,
}

impl LocalApic {
    /// Enables this CPU's APIC as [`DESCRIPTION`] says. Its inputs are masked, except the one for NMIs, and it takes
    /// interrupts of any priority.
    pub fn enable() -> Result<LocalApic, Unusable> {
        // SAFETY: reading this register, which every processor with an APIC has, has no effect.
        let base = unsafe { Msr::new(APIC_BASE).read() };
        if base & X2APIC_MODE != 0 {
            return Err(Unusable::InX2ApicMode);
        }
        if base & ADDRESS >= DIRECT_MAP_SIZE {
            return Err(Unusable::OutOfReach);
        }
        let apic = LocalApic { registers: base & ADDRESS };
        REGISTERS.store(apic.registers, Ordering::Relaxed);
        let Description { spurious, error, lint1_masked } = DESCRIPTION;
        apic.write(SPURIOUS, ENABLE | u32::from(spurious));
        apic.write(LINT0, MASKED);
        apic.write(LINT1, NMI | if lint1_masked { MASKED } else { 0 });
        // Whatever the firmware has done wrong is forgotten.
        apic.write(ERRORS, 0);
        apic.write(ERROR, error.into());
        if apic.has_counters() {
            apic.write(COUNTERS, MASKED);
        }
        apic.write(LOGICAL, 0);
        apic.write(PRIORITY, 0);
        Ok(apic)
    }

    /// Number of the last entry of the local vector table.
    pub fn last_entry(self) -> u8 {
        (self.read(VERSION) >> 16) as u8
    }

    fn has_counters(self) -> bool {
        self.last_entry() >= 4
    }

    /// What the registers say.
    pub fn state(self) -> State {
        let masked = |register| self.read(register) & MASKED != 0;
        let (spurious, error) = (self.read(SPURIOUS), self.read(ERROR));
        // A write makes the register show the errors that were found since the last one.
        self.write(ERRORS, 0);
        State {
            description: Description { spurious: spurious as u8, error: error as u8, lint1_masked: masked(LINT1) },
            last_entry: self.last_entry(),
            enabled: spurious & ENABLE != 0,
            lint0_masked: masked(LINT0),
            counters_masked: !self.has_counters() || masked(COUNTERS),
            logical: (self.read(LOGICAL) >> 24) as u8,
            priority: self.read(PRIORITY),
            errors: self.read(ERRORS),
            in_service: (0..8).any(|row| self.read(IN_SERVICE + 16 * row) != 0),
        }
    }

    /// This CPU's APIC, which has been enabled before.
    #[inline]
    pub fn here() -> LocalApic {
        LocalApic { registers: REGISTERS.load(Ordering::Relaxed) }
    }

    fn read(self, register: u64) -> u32 {
        // SAFETY: the direct map covers the APIC's page, uncached; reading the registers used here has no
        // effect.
        unsafe { direct::<u32>(self.registers + register).read_volatile() }
    }

    fn write(self, register: u64, value: u32) {
        // SAFETY: as in `read`; the callers ensure that the effect on other CPUs is right.
        unsafe { direct::<u32>(self.registers + register).write_volatile(value) };
    }

    /// This CPU's APIC number.
    pub fn id(self) -> u32 {
        self.read(ID) >> 24
    }

    fn command(self, to: u32, command: u32) -> Result<(), Undelivered> {
        self.write(COMMAND_HIGH, to << 24);
        self.write(COMMAND_LOW, command);
        let delivered = (0..PENDING_TRIES).any(|_| self.read(COMMAND_LOW) & PENDING == 0);
        delivered.then_some(()).ok_or(Undelivered)
    }

    /// Makes the CPU with APIC number `to` wait for a start-up message.
    pub fn send_init(self, to: u32) -> Result<(), Undelivered> {
        self.command(to, SEND_INIT)
    }

    /// Starts the waiting CPU with APIC number `to` in real mode at `page`.
    ///
    /// # Safety
    /// `page` is page-aligned, below 1 MiB, and holds code that is ready for that CPU.
    pub unsafe fn send_startup(self, to: u32, page: u64) -> Result<(), Undelivered> {
        self.command(to, SEND_STARTUP | (page >> 12) as u32)
    }

    /// Sends the CPU with APIC number `to` an interrupt with this vector. The CPU takes it once its interrupts are on.
    pub fn send(self, to: u32, vector: u8) -> Result<(), Undelivered> {
        self.command(to, SEND_FIXED | u32::from(vector))
    }

    /// Ends the interrupt that this CPU handles, so that others may come.
    #[inline]
    pub fn end_of_interrupt(self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Sets the vector of the timer's interrupt; `None` masks it. The timer must not run.
    pub fn set_timer(self, vector: Option<u8>) {
        self.write(TIMER_DIVIDER, DIVIDE_BY_16);
        self.write(TIMER, vector.map_or(MASKED, u32::from));
    }

    /// Starts the timer: it counts `ticks` down to 0 once, and then interrupts.
    #[inline]
    pub fn start_timer(self, ticks: u32) {
        self.write(TIMER_START, ticks);
    }

    /// The ticks that the timer still has to count.
    #[inline]
    pub fn timer_left(self) -> u32 {
        self.read(TIMER_LEFT)
    }

    /// Sends the CPU with APIC number `to` an NMI, which interrupts it in any state.
    pub fn send_nmi(self, to: u32) -> Result<(), Undelivered> {
        self.command(to, SEND_NMI)
    }
}

/// Moves the two legacy interrupt controllers out of the exceptions' vectors and masks all their inputs.
pub fn mask_legacy_controllers() {
    const COMMANDS: [u16; 2] = [0x20, 0xA0];
    const DATA: [u16; 2] = [0x21, 0xA1];
    // Cascade wiring: the second controller sits on input 2 of the first.
    const WIRING: [u8; 2] = [4, 2];
    const VECTORS: [u8; 2] = [0x20, 0x28];
    for controller in 0..2 {
        let mut data = Port::<u8>::new(DATA[controller]);
        // SAFETY: the controllers' initialisation sequence on every PC; it ends with all inputs masked.
        unsafe {
            Port::<u8>::new(COMMANDS[controller]).write(0x11);
            data.write(VECTORS[controller]);
            data.write(WIRING[controller]);
            data.write(1);
            data.write(0xFF);
        }
    }
}
