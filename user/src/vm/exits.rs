//! What a monitor does at an exit of its guest.

use super::absent::Load;
use super::{Console, End, INTERRUPTS, PROTECTION, Vm};
use crate::guest::{Exit, Register};
use crate::sys;
use abi::{Error, PAGE_SIZE};
use alloc::string::ToString;
use core::arch::x86_64::__cpuid;
use vmm::cpuid::{self, Leaf};
use vmm::exit::{self, ControlRegister, Reason};
use vmm::msr::{self, Read, Refused};
use vmm::ports::{Event, Size, depends_on_time};
use vmm::report::Report;

/// CR0: paging is on.
const PAGING: u32 = 1 << 31;
/// The bits of CR0 and CR4 that VT-x wants to be set.
const NUMERIC_ERRORS: u32 = 1 << 5;
const VMX: u32 = 1 << 13;
/// The general-protection exception.
const GENERAL_PROTECTION: u8 = 13;
/// Bytes of an instruction at most.
const INSTRUCTION: usize = 15;

impl Vm {
    /// Maps the page of this guest-physical address, which is in the guest's memory.
    ///
    /// # Safety
    ///
    /// There is no reference to the guest's memory while the guest runs.
    pub(super) unsafe fn map(&mut self, address: u32) -> Result<(), Error> {
        let page = address / PAGE_SIZE * PAGE_SIZE;
        let host = self.memory.cast::<u8>().addr() as u32 + page;
        // SAFETY: the caller's contract.
        unsafe { self.guest.map(page, host) }
    }

    /// Answers an exit for this reason, at which the guest's EAX had this value. Returns how the guest ended, if it did.
    pub(super) fn answer(
        &mut self,
        reason: Reason,
        eax: u32,
        console: &mut impl Console,
    ) -> Result<Option<End>, Error> {
        match reason {
            Reason::INTERRUPT_WINDOW => {}
            Reason::CPUID => {
                let Leaf { eax, ebx, ecx, edx } = cpuid::answer(eax, host_leaf, self.clock.hertz());
                self.guest.complete([eax, edx, ecx, ebx])?;
            }
            Reason::RDMSR | Reason::WRMSR => self.model_specific(reason == Reason::RDMSR)?,
            Reason::HLT => return self.halt(console),
            Reason::CONTROL_REGISTER => return self.control_register(),
            Reason::IO => return self.port(eax, console),
            Reason::EPT_VIOLATION => {
                let Exit::NotMapped { address, .. } = self.guest.exit()? else { return self.stop() };
                if address as usize >= self.memory.len() {
                    return self.load_nothing();
                }
                // SAFETY: only `memory` makes references to the guest's memory, and they borrow this object, as this
                // function does.
                unsafe { self.map(address) }?;
            }
            _ => return self.stop(),
        }
        Ok(None)
    }

    /// Executes a load from an address without memory, in 32-bit code. Everything else there stops the guest.
    fn load_nothing(&mut self) -> Result<Option<End>, Error> {
        if !self.is_protected()? {
            return self.stop();
        }
        let Some(Load { operation, to, length }) = Load::decode(self.instruction()?) else { return self.stop() };
        let (value, flags) = operation.execute(self.guest.register(to)?, self.guest.register(Register::Eflags)?);
        self.guest.set_register(to, value)?;
        self.guest.set_register(Register::Eflags, flags)?;
        let at = self.guest.register(Register::Eip)?;
        self.guest.set_register(Register::Eip, at.wrapping_add(length))?;
        Ok(None)
    }

    /// The bytes at the instruction pointer, if the code segment begins at 0; none if paging is on, or there is no memory.
    fn instruction(&mut self) -> Result<&[u8], Error> {
        let paging = self.guest.register(Register::Cr0)? & PAGING != 0;
        let at = self.guest.register(Register::Eip)? as usize;
        Ok(match self.memory().get(at..) {
            Some(rest) if !paging => &rest[..rest.len().min(INSTRUCTION)],
            _ => &[],
        })
    }

    /// Executes RDMSR or WRMSR.
    fn model_specific(&mut self, reads: bool) -> Result<(), Error> {
        let number = self.guest.register(Register::Ecx)?;
        if reads {
            let value = match msr::read(number) {
                Ok(Read::Machine) => return self.guest.read_msr(),
                Ok(Read::TimeStamp) => {
                    self.look_at_clock()?;
                    Some(self.clock.ticks(self.now()))
                }
                Ok(Read::Value(value)) => Some(value),
                Err(Refused) => None,
            };
            if let Some(value) = value {
                return self.guest.complete([value as u32, (value >> 32) as u32]);
            }
        } else if msr::write(number).is_ok() {
            return self.guest.ignore_msr();
        }
        // In real mode no exception has an error code.
        let error = self.is_protected()?.then_some(0);
        self.guest.raise(GENERAL_PROTECTION, error)
    }

    /// Whether the guest is in protected mode.
    fn is_protected(&self) -> Result<bool, Error> {
        Ok(self.guest.register(Register::Cr0)? & PROTECTION != 0)
    }

    /// Executes a MOV to CR0 or CR4 that would change a bit which VT-x wants to be set. The guest does not see such a
    /// bit in what it wrote, and the bit keeps its value.
    fn control_register(&mut self) -> Result<Option<End>, Error> {
        let Exit::Other { reason, qualification } = self.guest.exit()? else { return self.stop() };
        let decoded = exit::Exit::decode(reason.0.into(), qualification.into());
        let exit::Exit::ControlRegister(ControlRegister::Write { control, from }) = decoded else {
            return self.stop();
        };
        let (register, fixed) = match control {
            0 => (Register::Cr0, NUMERIC_ERRORS),
            4 => (Register::Cr4, VMX),
            _ => return self.stop(),
        };
        let Some(&from) = Register::GENERAL.get(usize::from(from)) else { return self.stop() };
        let kept = self.guest.register(register)? & fixed;
        let value = self.guest.register(from)?;
        self.guest.set_register(register, value & !fixed | kept)?;
        self.guest.complete([])?;
        Ok(None)
    }

    /// Executes HLT: other programs run until the guest is interrupted.
    fn halt(&mut self, console: &mut impl Console) -> Result<Option<End>, Error> {
        if self.guest.register(Register::Eflags)? & INTERRUPTS == 0 {
            return Ok(Some(End::Halted));
        }
        loop {
            self.listen(console);
            if self.devices.interrupt_pending() {
                self.guest.complete([])?;
                return Ok(None);
            }
            if self.devices.deadline().is_none() && !console.can_read() {
                return Ok(Some(End::Halted));
            }
            sys::yield_now()?;
            self.look_at_clock()?;
        }
    }

    /// Executes `in` or `out`.
    fn port(&mut self, eax: u32, console: &mut impl Console) -> Result<Option<End>, Error> {
        let Exit::Io(io) = self.guest.exit()? else { return self.stop() };
        let size = match (io.width, io.string) {
            (1, false) => Size::Byte,
            (2, false) => Size::Word,
            (4, false) => Size::Double,
            // No kernel that is known to run uses a string instruction.
            _ => return self.stop(),
        };
        if depends_on_time(io.port) {
            self.look_at_clock()?;
        }
        let now = self.now();
        if io.write {
            match self.devices.write(io.port, size, eax, now) {
                Some(Event::Output(byte)) => console.write(byte),
                Some(Event::Reset) => return Ok(Some(End::Reset)),
                None => {}
            }
            self.guest.complete([])?;
        } else {
            let value = self.devices.read(io.port, size, now);
            self.guest.complete([size.insert(eax, value)])?;
        }
        Ok(None)
    }

    /// The end of a guest whose last exit has no answer.
    fn stop(&mut self) -> Result<Option<End>, Error> {
        use Register::{Cr0, Cr2, Cr3, Cr4, Eax, Ebp, Ebx, Ecx, Edi, Edx, Eflags, Eip, Esi, Esp};
        const NAMES: [(&str, Register); 14] = [
            ("EAX", Eax),
            ("EBX", Ebx),
            ("ECX", Ecx),
            ("EDX", Edx),
            ("ESI", Esi),
            ("EDI", Edi),
            ("EBP", Ebp),
            ("ESP", Esp),
            ("EIP", Eip),
            ("EFLAGS", Eflags),
            ("CR0", Cr0),
            ("CR2", Cr2),
            ("CR3", Cr3),
            ("CR4", Cr4),
        ];
        let mut registers = [("", 0u64); NAMES.len()];
        for (row, (name, register)) in registers.iter_mut().zip(NAMES) {
            *row = (name, self.guest.register(register)?.into());
        }
        let (reason, qualification, guest_physical) = match self.guest.exit()? {
            Exit::NotMapped { address, qualification } => (Reason::EPT_VIOLATION, qualification, Some(address.into())),
            Exit::Other { reason, qualification } => (reason, qualification, None),
            Exit::Io(io) => {
                let flags = u32::from(io.repeated) << 5 | u32::from(io.string) << 4 | u32::from(!io.write) << 3;
                (Reason::IO, u32::from(io.port) << 16 | flags | u32::from(io.width - 1), None)
            }
        };
        let instruction = self.instruction()?;
        let qualification = qualification.into();
        let reason_field = reason.0.into();
        let report = Report { reason: reason_field, qualification, guest_physical, registers: &registers, instruction };
        Ok(Some(End::Stopped { reason, report: report.to_string() }))
    }
}

/// A leaf of the processor's own CPUID.
fn host_leaf(leaf: u32) -> Leaf {
    #[allow(unused_unsafe, reason = "newer compilers know that it is safe")]
    // SAFETY: every processor with 64-bit mode has the instruction.
    let host = unsafe { __cpuid(leaf) };
    Leaf { eax: host.eax, ebx: host.ebx, ecx: host.ecx, edx: host.edx }
}
