//! A virtual machine with the devices of a small PC: the loop of a monitor.
//!
//! [`Vm`] runs a [`Guest`](crate::guest::Guest) and answers its exits with the devices, CPUID and MSRs of the crate
//! `vmm`. What it cannot answer ends the guest, and [`End::Stopped`] has a report of it.
//!
//! Guest memory is memory of the program. A page is mapped when the guest first touches it, and charged to the
//! program's quota like any other page.

use crate::absent::Load;
use crate::guest::{Descriptor, Exit, Guest, Register, Segment, reason};
use crate::{memory, sys};
use abi::{Error, PAGE_SIZE};
use alloc::string::{String, ToString};
use core::arch::x86_64::__cpuid;
use vmm::cpuid::{self, Leaf};
use vmm::exit::ControlRegister;
use vmm::linux;
use vmm::msr;
use vmm::pit::HERTZ;
use vmm::ports::{Devices, Event, Size};
use vmm::report::Report;

/// EFLAGS: the bit that is always 1, and the one that turns interrupts on.
const FLAGS: u32 = 2;
const INTERRUPTS: u32 = 1 << 9;
/// CR0: protection and paging are on.
const PROTECTION: u32 = 1;
const PAGING: u32 = 1 << 31;
/// The bits of CR0 and CR4 that VT-x wants to be set.
const NUMERIC_ERRORS: u32 = 1 << 5;
const VMX: u32 = 1 << 13;
/// The general registers, in the processor's order.
const GENERAL: [Register; 8] = [
    Register::Eax,
    Register::Ecx,
    Register::Edx,
    Register::Ebx,
    Register::Esp,
    Register::Ebp,
    Register::Esi,
    Register::Edi,
];
/// The general-protection exception.
const GENERAL_PROTECTION: u8 = 13;
/// Ticks of the guest's time-stamp counter in a second, as CPUID tells the guest, unless [`Vm::set_clock`] says more.
const HERTZ_OF_TSC: u64 = 1_000_000_000;
/// Milliseconds that a measurement of the time-stamp counter takes.
const MEASUREMENT: u64 = 100;
/// Where the guest's code for the measurement is.
const SCRATCH: u16 = 0x7C00;
/// All segments.
const SEGMENTS: [Segment; 10] = {
    use Segment::{Cs, Ds, Es, Fs, Gdtr, Gs, Idtr, Ldtr, Ss, Tr};
    [Cs, Ds, Es, Fs, Gs, Ss, Ldtr, Tr, Gdtr, Idtr]
};
/// Bytes of an instruction at most.
const INSTRUCTION: usize = 15;

/// Access rights of segments, in the format of VT-x: code and data, a local descriptor table, a busy task.
const CODE: u32 = 0x9B;
const DATA: u32 = 0x93;
const TABLE: u32 = 0x82;
const TASK: u32 = 0x8B;
/// Access rights of flat segments of 4 GiB: they are of 32 bits, and their limits count pages.
const FLAT: u32 = 0xC000;

/// The other end of a guest's serial line.
pub trait Console {
    /// The guest sends a byte.
    fn write(&mut self, byte: u8);

    /// The next byte for the guest, if there is one. What the guest has sent has to be visible now.
    fn read(&mut self) -> Option<u8>;

    /// Whether there can ever be a byte for the guest. Otherwise a guest that waits for one has halted.
    fn can_read(&self) -> bool;
}

/// How a guest ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It executed HLT, and nothing would ever wake it.
    Halted,
    /// It reset its machine.
    Reset,
    /// It did something that the monitor does not emulate. The report has several lines, and ends without a line feed.
    Stopped {
        /// The basic reason of the exit.
        reason: u32,
        /// What a person is told.
        report: String,
    },
    /// It did not end within the time that the monitor gave it.
    TimeOut,
}

/// A virtual machine. It has the virtual machine of this CPU until the program ends.
#[derive(Debug)]
pub struct Vm {
    guest: Guest,
    devices: Devices,
    /// The guest's memory, from guest-physical address 0 on. Only [`memory`](Vm::memory) makes references to it.
    memory: *mut [u8],
    /// The uptime at the beginning, in milliseconds.
    began: u32,
    /// Ticks of the guest's time-stamp counter in a second.
    hertz: u64,
    /// Whether the guest exits when it can take an interrupt.
    watching: bool,
    /// Exits, without those for interrupts of the host.
    exits: u64,
}

impl Vm {
    /// Makes a virtual machine with so many pages of memory, which begin zeroed.
    ///
    /// # Errors
    ///
    /// Those of [`Guest::create`]; [`Error::Mem`] if this program has too few addresses for the memory.
    pub fn new(pages: u32) -> Result<Vm, Error> {
        Vm::over(memory::take(pages).ok_or(Error::Mem)?)
    }

    /// Makes a virtual machine with this memory, which begins on a page of its own.
    ///
    /// # Errors
    ///
    /// Those of [`Guest::create`].
    pub fn over(memory: &'static mut [u8]) -> Result<Vm, Error> {
        let guest = Guest::create()?;
        let (devices, began) = (Devices::new(0), sys::uptime()?);
        Ok(Vm { guest, devices, memory, began, hertz: HERTZ_OF_TSC, watching: false, exits: 0 })
    }

    /// Measures how fast the guest's time-stamp counter is, by a guest that reads it twice, and sets the counter and the
    /// devices' time to 0. The guest has to be prepared again afterwards. This takes a tenth of a second.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Vm::run), and [`Error::InvalHvm`] if the processor does not run such a guest.
    pub fn set_clock(&mut self) -> Result<(), Error> {
        // The first reading maps the page.
        self.time_stamp()?;
        let [start, first] = [sys::next_millisecond()?.into(), self.time_stamp()?];
        while u64::from(sys::uptime()?).wrapping_sub(start) < MEASUREMENT - 1 {}
        let [end, last] = [u64::from(sys::next_millisecond()?), self.time_stamp()?];
        self.hertz = (last.wrapping_sub(first) * 1000 / end.wrapping_sub(start).max(1)).max(HERTZ);
        let offset = self.guest.tsc_offset()?;
        let now = self.time_stamp()?;
        self.guest.set_tsc_offset(offset.wrapping_sub(now))?;
        self.devices = Devices::new(0);
        self.began = sys::uptime()?;
        Ok(())
    }

    /// The guest's time-stamp counter, as a guest in real mode reads it.
    fn time_stamp(&mut self) -> Result<u64, Error> {
        /// RDTSC, HLT.
        const CODE: [u8; 3] = [0x0F, 0x31, 0xF4];
        let kept: [u8; CODE.len()] = core::array::from_fn(|index| self.memory()[usize::from(SCRATCH) + index]);
        self.memory()[SCRATCH.into()..][..CODE.len()].copy_from_slice(&CODE);
        self.start_in_real_mode(SCRATCH)?;
        loop {
            match self.guest.run()? {
                reason::HLT => break,
                reason::INTERRUPT => {}
                // SAFETY: as in `answer`.
                reason::NOT_MAPPED => unsafe { self.map(SCRATCH.into()) }?,
                _ => return Err(Error::InvalHvm),
            }
        }
        self.memory()[SCRATCH.into()..][..CODE.len()].copy_from_slice(&kept);
        let [low, high] = [self.guest.register(Register::Eax)?, self.guest.register(Register::Edx)?];
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    /// Maps the page of this guest-physical address, which is in the guest's memory.
    ///
    /// # Safety
    ///
    /// There is no reference to the guest's memory while the guest runs.
    unsafe fn map(&mut self, address: u32) -> Result<(), Error> {
        let page = address / PAGE_SIZE * PAGE_SIZE;
        let host = self.memory.cast::<u8>().addr() as u32 + page;
        // SAFETY: the caller's contract.
        unsafe { self.guest.map(page, host) }
    }

    /// The guest's memory.
    pub fn memory(&mut self) -> &mut [u8] {
        // SAFETY: `take` gave these bytes to this object alone. The guest changes them only in `run`, which borrows the
        // object as this reference does.
        unsafe { &mut *self.memory }
    }

    /// The registers of the guest.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// Number of exits so far, without those for interrupts of the host.
    pub fn exits(&self) -> u64 {
        self.exits
    }

    /// Prepares a start in real mode at this address, which is the stack pointer as well. All segments begin at 0.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn start_in_real_mode(&mut self, address: u16) -> Result<(), Error> {
        for segment in SEGMENTS {
            let access = match segment {
                Segment::Cs => CODE,
                Segment::Ldtr => TABLE,
                Segment::Tr => TASK,
                _ => DATA,
            };
            self.guest.set_segment(segment, Descriptor { selector: 0, base: 0, limit: 0xFFFF, access })?;
        }
        self.guest.set_register(Register::Eflags, FLAGS)?;
        self.guest.set_register(Register::Esp, address.into())?;
        self.guest.set_register(Register::Eip, address.into())
    }

    /// Prepares the start of a Linux kernel at its entry point, as [`vmm::linux`] describes it. `zero_page` is the
    /// address of the zero page.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn start_linux(&mut self, entry: u32, zero_page: u32) -> Result<(), Error> {
        for segment in SEGMENTS {
            let (selector, access) = match segment {
                Segment::Cs => (linux::CODE.into(), CODE | FLAT),
                Segment::Ldtr => (0, TABLE),
                Segment::Tr => (0, TASK),
                Segment::Gdtr | Segment::Idtr => (0, 0),
                _ => (linux::DATA.into(), DATA | FLAT),
            };
            let limit = if access & FLAT == 0 { 0xFFFF } else { u32::MAX };
            self.guest.set_segment(segment, Descriptor { selector, base: 0, limit, access })?;
        }
        let protected = self.guest.register(Register::Cr0)? | PROTECTION;
        let registers = [
            (Register::Cr0, protected),
            (Register::Eflags, FLAGS),
            (Register::Eax, 0),
            (Register::Ebx, 0),
            (Register::Ecx, 0),
            (Register::Edx, 0),
            (Register::Ebp, 0),
            (Register::Edi, 0),
            (Register::Esi, zero_page),
            (Register::Eip, entry),
        ];
        registers.into_iter().try_for_each(|(register, value)| self.guest.set_register(register, value))
    }

    /// Runs the guest until it ends, at most for so many milliseconds if there is a limit.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow to reserve a page that the guest touches.
    pub fn run(&mut self, limit: Option<u32>, console: &mut impl Console) -> Result<End, Error> {
        let start = sys::uptime()?;
        loop {
            if let Some(end) = self.step(console)? {
                return Ok(end);
            }
            if let Some(limit) = limit
                && sys::uptime()?.wrapping_sub(start) >= limit
            {
                return Ok(End::TimeOut);
            }
        }
    }

    /// Runs the guest until it exits, and answers the exit. Returns how the guest ended, if it did.
    ///
    /// # Errors
    ///
    /// As for [`run`](Vm::run).
    pub fn step(&mut self, console: &mut impl Console) -> Result<Option<End>, Error> {
        self.offer_interrupt()?;
        let reason = self.guest.run()?;
        if reason == reason::INTERRUPT {
            self.listen(console);
            return Ok(None);
        }
        self.exits += 1;
        self.answer(reason, console)
    }

    /// Brings bytes to the guest, as long as there are any and its serial line takes them.
    fn listen(&mut self, console: &mut impl Console) {
        while self.devices.room() > 0
            && let Some(byte) = console.read()
        {
            self.devices.receive(byte);
        }
    }

    /// The devices' time: pulses since the guest's beginning.
    fn now(&self) -> Result<u64, Error> {
        let milliseconds = u64::from(sys::uptime()?.wrapping_sub(self.began));
        Ok(milliseconds * HERTZ / 1000)
    }

    /// Injects an interrupt that the devices ask for, or waits until the guest can take it.
    fn offer_interrupt(&mut self) -> Result<(), Error> {
        let now = self.now()?;
        self.devices.update(now);
        let mut watch = false;
        if self.devices.interrupt_pending() {
            let admits = self.guest.register(Register::Eflags)? & INTERRUPTS != 0
                && !self.guest.is_in_interrupt_shadow()?
                && !self.guest.has_pending_event()?;
            if admits {
                let vector = self.devices.acknowledge();
                self.guest.interrupt(vector)?;
            }
            watch = !admits || self.devices.interrupt_pending();
        }
        if watch != self.watching {
            self.guest.watch_interrupt_window(watch)?;
            self.watching = watch;
        }
        Ok(())
    }

    /// Answers an exit. Returns how the guest ended, if it did.
    fn answer(&mut self, reason: u32, console: &mut impl Console) -> Result<Option<End>, Error> {
        match reason {
            reason::INTERRUPT_WINDOW => {}
            reason::CPUID => {
                let leaf = self.guest.register(Register::Eax)?;
                let Leaf { eax, ebx, ecx, edx } = cpuid::answer(leaf, host_leaf, self.hertz);
                let results = [(Register::Eax, eax), (Register::Ebx, ebx), (Register::Ecx, ecx), (Register::Edx, edx)];
                for (register, value) in results {
                    self.guest.set_register(register, value)?;
                }
                self.guest.skip()?;
            }
            reason::RDMSR | reason::WRMSR => self.model_specific(reason == reason::RDMSR)?,
            reason::HLT => return self.halt(console),
            reason::CONTROL_REGISTER => return self.control_register(),
            reason::IO => return self.port(console),
            reason::NOT_MAPPED => {
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
            let ticks = (u128::from(self.now()?) * u128::from(self.hertz) / u128::from(HERTZ)) as u64;
            if let Ok(value) = msr::read(number, ticks) {
                self.guest.set_register(Register::Eax, value as u32)?;
                self.guest.set_register(Register::Edx, (value >> 32) as u32)?;
                return self.guest.skip();
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
        let decoded = vmm::exit::Exit::decode(reason, qualification.into());
        let vmm::exit::Exit::ControlRegister(ControlRegister::Write { control, from }) = decoded else {
            return self.stop();
        };
        let (register, fixed) = match control {
            0 => (Register::Cr0, NUMERIC_ERRORS),
            4 => (Register::Cr4, VMX),
            _ => return self.stop(),
        };
        let Some(&from) = GENERAL.get(usize::from(from)) else { return self.stop() };
        let kept = self.guest.register(register)? & fixed;
        let value = self.guest.register(from)?;
        self.guest.set_register(register, value & !fixed | kept)?;
        self.guest.skip()?;
        Ok(None)
    }

    /// Executes HLT: other programs run until the guest is interrupted.
    fn halt(&mut self, console: &mut impl Console) -> Result<Option<End>, Error> {
        if self.guest.register(Register::Eflags)? & INTERRUPTS == 0 {
            return Ok(Some(End::Halted));
        }
        loop {
            self.listen(console);
            let now = self.now()?;
            self.devices.update(now);
            if self.devices.interrupt_pending() {
                self.guest.skip()?;
                return Ok(None);
            }
            if self.devices.deadline().is_none() && !console.can_read() {
                return Ok(Some(End::Halted));
            }
            sys::yield_now()?;
        }
    }

    /// Executes `in` or `out`.
    fn port(&mut self, console: &mut impl Console) -> Result<Option<End>, Error> {
        let Exit::Io(io) = self.guest.exit()? else { return self.stop() };
        let size = match (io.width, io.string) {
            (1, false) => Size::Byte,
            (2, false) => Size::Word,
            (4, false) => Size::Double,
            // No kernel that is known to run uses a string instruction.
            _ => return self.stop(),
        };
        let (eax, now) = (self.guest.register(Register::Eax)?, self.now()?);
        if io.write {
            match self.devices.write(io.port, size, eax, now) {
                Some(Event::Output(byte)) => console.write(byte),
                Some(Event::Reset) => return Ok(Some(End::Reset)),
                None => {}
            }
        } else {
            let value = self.devices.read(io.port, size, now);
            self.guest.set_register(Register::Eax, size.insert(eax, value))?;
        }
        self.guest.skip()?;
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
            Exit::NotMapped { address, qualification } => (reason::NOT_MAPPED, qualification, Some(address.into())),
            Exit::Other { reason, qualification } => (reason, qualification, None),
            Exit::Io(io) => {
                let flags = u32::from(io.repeated) << 5 | u32::from(io.string) << 4 | u32::from(!io.write) << 3;
                (reason::IO, u32::from(io.port) << 16 | flags | u32::from(io.width - 1), None)
            }
        };
        let instruction = self.instruction()?;
        let qualification = qualification.into();
        let report = Report { reason, qualification, guest_physical, registers: &registers, instruction };
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
