//! What a guest's exit reports, in VT-x's terms (Intel SDM volume 3, chapter 28 and appendix C), whatever the processor.

/// Basic reasons of exits that the kernel itself tells apart.
pub mod reason {
    /// An exception or an NMI.
    pub const EXCEPTION: u32 = 0;
    /// An interrupt from outside: the host takes it.
    pub const INTERRUPT: u32 = 1;
    /// A triple fault.
    pub const TRIPLE_FAULT: u32 = 2;
    /// An INIT signal.
    pub const INIT: u32 = 3;
    /// A system-management interrupt.
    pub const SMI: u32 = 6;
    /// The guest can take an interrupt.
    pub const INTERRUPT_WINDOW: u32 = 7;
    /// A task switch.
    pub const TASK_SWITCH: u32 = 9;
    /// CPUID.
    pub const CPUID: u32 = 10;
    /// GETSEC.
    pub const GETSEC: u32 = 11;
    /// HLT.
    pub const HLT: u32 = 12;
    /// INVD.
    pub const INVD: u32 = 13;
    /// RDPMC.
    pub const RDPMC: u32 = 15;
    /// VMCALL.
    pub const VMCALL: u32 = 18;
    /// VMLAUNCH.
    pub const VMLAUNCH: u32 = 20;
    /// VMPTRLD.
    pub const VMPTRLD: u32 = 21;
    /// VMPTRST.
    pub const VMPTRST: u32 = 22;
    /// VMXOFF.
    pub const VMXOFF: u32 = 26;
    /// VMXON.
    pub const VMXON: u32 = 27;
    /// An I/O instruction.
    pub const IO: u32 = 30;
    /// RDMSR.
    pub const RDMSR: u32 = 31;
    /// WRMSR.
    pub const WRMSR: u32 = 32;
    /// A VM entry that failed because of the guest's state.
    pub const INVALID_STATE: u32 = 33;
    /// MWAIT.
    pub const MWAIT: u32 = 36;
    /// MONITOR.
    pub const MONITOR: u32 = 39;
    /// An access that the nested page tables do not allow.
    pub const NESTED_FAULT: u32 = 48;
    /// RDTSCP.
    pub const RDTSCP: u32 = 51;
    /// INVVPID.
    pub const INVVPID: u32 = 53;
    /// WBINVD.
    pub const WBINVD: u32 = 54;
    /// XSETBV.
    pub const XSETBV: u32 = 55;
    /// An exit of SVM that has no counterpart in VT-x. The qualification is its code. VT-x does not use this number.
    pub const OTHER: u32 = 0xFFFF;
}

/// The reason of an entry that the processor has refused: bit 31 says that the guest has not run. The qualification is
/// 0 where the guest's state was refused, as in VT-x, and [`BAD_CONTROLS`] with the error of the instruction where
/// something else was, for example an event that no processor can deliver.
pub const REFUSED: u32 = 1 << 31 | reason::INVALID_STATE;

/// The bit of a refused entry's qualification that says that the instruction itself has failed. The low byte is VT-x's
/// error number (table 31-1), or 0.
pub const BAD_CONTROLS: u64 = 0x100;

/// The qualification of an exit for an I/O instruction.
pub const fn io_qualification(port: u16, bytes: u8, reads: bool, string: bool, repeated: bool) -> u64 {
    (port as u64) << 16 | (repeated as u64) << 5 | (string as u64) << 4 | (reads as u64) << 3 | (bytes as u64 - 1)
}

/// Bits of the qualification of a nested-page fault: the access, and the rights of the page.
pub mod nested {
    /// A load.
    pub const READ: u64 = 1;
    /// A store.
    pub const WRITE: u64 = 1 << 1;
    /// A fetch.
    pub const FETCH: u64 = 1 << 2;
    /// The page can be read; the next two bits are its other rights.
    pub const RIGHTS: u64 = 7 << 3;
    /// The access has a linear address.
    pub const LINEAR: u64 = 1 << 7;
    /// The access was the guest's own, and not one to its page tables.
    pub const FINAL: u64 = 1 << 8;
}

/// An event in VT-x's format (table 25-17): vector, type (bits 8 to 10), error code (bit 11), valid (bit 31).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// The description.
    pub info: u32,
    /// Its error code, if bit 11 says that it has one.
    pub error: u32,
    /// Length of the instruction that raised it, if it is a software interrupt or exception.
    pub length: u32,
}

impl Event {
    /// The bit that says that there is an event.
    pub const VALID: u32 = 1 << 31;
    /// The bit that says that the event has an error code.
    pub const HAS_ERROR: u32 = 1 << 11;
    /// The bits of the type.
    pub const TYPE: u32 = 7 << 8;
    /// The types: software interrupt, privileged software exception, software exception.
    pub const SOFTWARE: [u32; 3] = [4 << 8, 5 << 8, 6 << 8];

    /// Whether there is an event.
    pub fn is_valid(self) -> bool {
        self.info & Event::VALID != 0
    }

    /// Whether an instruction of the guest has raised the event.
    pub fn is_software(self) -> bool {
        Event::SOFTWARE.contains(&(self.info & Event::TYPE))
    }
}

/// An exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exit {
    /// The reason: one of [`reason`] in bits 0 to 15, or [`REFUSED`].
    pub reason: u32,
    /// The qualification.
    pub qualification: u64,
    /// Length of the instruction that made the guest exit.
    pub length: u64,
    /// The guest-physical address, after [`reason::NESTED_FAULT`].
    pub address: u64,
    /// The event whose delivery the exit has interrupted, and which the next entry delivers again.
    pub event: Option<Event>,
    /// A vector that the host itself must handle at once: NMI or machine check.
    pub for_host: Option<u8>,
}

impl Exit {
    /// An entry that the processor has refused.
    pub fn refused(qualification: u64) -> Exit {
        Exit { reason: REFUSED, qualification, ..Exit::default() }
    }

    /// Whether the guest has run.
    pub fn has_run(&self) -> bool {
        self.reason >> 31 == 0
    }
}
