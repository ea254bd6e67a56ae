//! The virtual machine of a CPU, for a program that runs a guest: a monitor.
//!
//! ```ignore
//! let mut guest = Guest::create()?;
//! // SAFETY: the page is the guest's from now on.
//! unsafe { guest.map(0, page) }?;
//! guest.set_register(Register::Eip, 0)?;
//! while guest.run()? == Reason::IO {
//!     answer(guest.exit()?);
//! }
//! ```
//!
//! A CPU has one virtual machine, and it belongs to one process at a time. It is given back when the process ends.

use crate::sys::{call, results_of};
use abi::{Call, Error};
use vmm::exit::Reason;

/// A register of the guest.
#[allow(missing_docs, reason = "each is the register that it names")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Register {
    Eax = 0,
    Ebx = 1,
    Ecx = 2,
    Edx = 3,
    Esi = 4,
    Edi = 5,
    Ebp = 6,
    Esp = 7,
    Eip = 8,
    Eflags = 9,
    Cr0 = 10,
    Cr2 = 11,
    Cr3 = 12,
    Cr4 = 13,
}

impl Register {
    /// The general registers, in the order of the processor's encoding.
    pub const GENERAL: [Register; 8] = [
        Register::Eax,
        Register::Ecx,
        Register::Edx,
        Register::Ebx,
        Register::Esp,
        Register::Ebp,
        Register::Esi,
        Register::Edi,
    ];
}

/// A segment of the guest.
#[allow(missing_docs, reason = "each is the segment that it names")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Segment {
    Cs = 0,
    Ds = 1,
    Es = 2,
    Fs = 3,
    Gs = 4,
    Ss = 5,
    Ldtr = 6,
    Tr = 7,
    Gdtr = 8,
    Idtr = 9,
}

/// The contents of a segment register. GDTR and IDTR have only a base and a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Descriptor {
    /// The selector.
    pub selector: u32,
    /// The address of the first byte.
    pub base: u32,
    /// The offset of the last byte.
    pub limit: u32,
    /// The access rights, in the format of VT-x.
    pub access: u32,
}

/// What the last exit was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// An instruction that reads or writes a port ([`Reason::IO`]).
    Io(Io),
    /// An access to an address without memory ([`Reason::EPT_VIOLATION`]).
    NotMapped {
        /// The guest-physical address.
        address: u32,
        /// The qualification: bit 0 for a load, bit 1 for a store, bit 2 for an instruction.
        qualification: u32,
    },
    /// Any other exit.
    Other {
        /// The basic reason.
        reason: Reason,
        /// The qualification.
        qualification: u32,
    },
}

/// An access to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Io {
    /// The port.
    pub port: u16,
    /// Bytes: 1, 2 or 4.
    pub width: u8,
    /// Whether the guest writes.
    pub write: bool,
    /// Whether the instruction has a REP prefix.
    pub repeated: bool,
    /// Whether it is a string instruction.
    pub string: bool,
}

/// The virtual machine of this CPU, which belongs to this program.
#[derive(Debug)]
pub struct Guest(());

impl Guest {
    /// Claims the virtual machine of this CPU. Its registers and segments are 0, but for EIP, and it
    /// has no memory.
    ///
    /// # Errors
    ///
    /// [`Error::NoGuests`] if the processor cannot run guests, [`Error::Busy`] if the virtual machine belongs to a
    /// process.
    pub fn create() -> Result<Guest, Error> {
        call(Call::HvmCreate, 0, 0).map(|_| Guest(()))
    }

    /// Runs the guest until it exits, and returns the basic reason of the exit, and the guest's EAX.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn run(&mut self) -> Result<(Reason, u32), Error> {
        let [reason, eax, ..] = results_of(Call::HvmRunVm, [0; 5])?;
        Ok((basic(reason), eax))
    }

    /// What the last exit was about.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn exit(&self) -> Result<Exit, Error> {
        let [reason, first, second, flags, _] = results_of(Call::HvmGetExitinfo, [0; 5])?;
        Ok(match basic(reason) {
            Reason::IO => Exit::Io(Io {
                port: first as u16,
                width: 1 << second.min(2),
                write: flags & 1 != 0,
                repeated: flags & 2 != 0,
                string: flags & 4 != 0,
            }),
            Reason::EPT_VIOLATION => Exit::NotMapped { address: first, qualification: second },
            reason => Exit::Other { reason, qualification: first },
        })
    }

    /// Maps the page of this program at `address` at the guest-physical address `guest`, as write-back memory. The page
    /// is reserved if this program has not touched it yet.
    ///
    /// # Safety
    ///
    /// The guest may change the page whenever it runs: no Rust reference to it may exist then.
    ///
    /// # Errors
    ///
    /// [`Error::InvalAddr`] if an address is not that of a page, or the page is not writable, or `guest` is not below
    /// [`abi::GUEST_MEMORY`]; [`Error::Mem`] if the quota does not allow to reserve the page.
    pub unsafe fn map(&mut self, guest: u32, address: u32) -> Result<(), Error> {
        const WRITE_BACK: u32 = 6;
        results_of(Call::HvmMmap, [guest, address, WRITE_BACK, 0, 0]).map(drop)
    }

    /// Sets a segment.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn set_segment(&mut self, segment: Segment, to: Descriptor) -> Result<(), Error> {
        let Descriptor { selector, base, limit, access } = to;
        results_of(Call::HvmSetSeg, [segment as u32, selector, base, limit, access]).map(drop)
    }

    /// Sets a register.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn set_register(&mut self, register: Register, value: u32) -> Result<(), Error> {
        call(Call::HvmSetReg, register as u32, value).map(drop)
    }

    /// The low half of a register.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn register(&self, register: Register) -> Result<u32, Error> {
        call(Call::HvmGetReg, register as u32, 0)
    }

    /// Completes the instruction that made the guest exit: EAX, EDX, ECX and EBX get these values, as many as there are,
    /// and the guest continues after the instruction.
    ///
    /// # Errors
    ///
    /// [`Error::InvalAddr`] if that is no 32-bit address.
    pub fn complete<const COUNT: usize>(&mut self, values: [u32; COUNT]) -> Result<(), Error> {
        const { assert!(COUNT <= 4, "there are four registers") };
        let mut arguments = [COUNT as u32, 0, 0, 0, 0];
        arguments[1..=COUNT].copy_from_slice(&values);
        results_of(Call::HvmComplete, arguments).map(drop)
    }

    /// The guest takes the external interrupt `vector` when it runs again. If an event is pending, nothing changes.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn interrupt(&mut self, vector: u8) -> Result<(), Error> {
        call(Call::HvmInjectEvent, 0, vector.into()).map(drop)
    }

    /// The guest takes the exception `vector` when it runs again, with an error code if it has one. If an event is
    /// pending, nothing changes.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn raise(&mut self, vector: u8, error: Option<u32>) -> Result<(), Error> {
        const EXCEPTION: u32 = 3 << 8;
        let arguments = [EXCEPTION, vector.into(), error.unwrap_or(0), error.is_some().into(), 0];
        results_of(Call::HvmInjectEvent, arguments).map(drop)
    }

    /// Whether an event is pending for the guest.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn has_pending_event(&self) -> Result<bool, Error> {
        call(Call::HvmCheckPendingEvent, 0, 0).map(|yes| yes != 0)
    }

    /// Whether the guest is directly after an STI or a MOV SS, so that it takes no interrupt.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn is_in_interrupt_shadow(&self) -> Result<bool, Error> {
        call(Call::HvmCheckIntShadow, 0, 0).map(|yes| yes != 0)
    }

    /// Whether the guest exits as soon as it can take an interrupt ([`Reason::INTERRUPT_WINDOW`]).
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn watch_interrupt_window(&mut self, watch: bool) -> Result<(), Error> {
        call(Call::HvmInterceptIntWindow, watch.into(), 0).map(drop)
    }

    /// The difference of the guest's time-stamp counter to the processor's.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn tsc_offset(&self) -> Result<u64, Error> {
        let [high, low, ..] = results_of(Call::HvmGetTscOffset, [0; 5])?;
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    /// Sets the difference of the guest's time-stamp counter to the processor's.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn set_tsc_offset(&mut self, offset: u64) -> Result<(), Error> {
        call(Call::HvmSetTscOffset, (offset >> 32) as u32, offset as u32).map(drop)
    }

    /// Executes the RDMSR that made the guest exit, with the machine's value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalAddr`] if the next instruction has no 32-bit address.
    pub fn read_msr(&mut self) -> Result<(), Error> {
        call(Call::HvmHandleRdmsr, 0, 0).map(drop)
    }

    /// Skips the WRMSR that made the guest exit.
    ///
    /// # Errors
    ///
    /// As for [`read_msr`](Guest::read_msr).
    pub fn ignore_msr(&mut self) -> Result<(), Error> {
        call(Call::HvmHandleWrmsr, 0, 0).map(drop)
    }
}

/// The basic reason in a result of a call.
fn basic(result: u32) -> Reason {
    Reason(result as u16)
}
