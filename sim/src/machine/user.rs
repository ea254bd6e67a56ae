//! User mode: the instructions of programs. Every fetch, load and store is an accessor of the layer.
use super::Sim;
use super::tlb::{self, Tlb};
use crate::x86::{self, Bus, CodeStamp, Gpr, Registers, Size, Step, Trap};
use abi::Reason;
use domain::Map;
use layer::core::call::{Access, Chunk};
use layer::core::constants::{PAGE_SIZE, UCTXT_SIZE, USER_DATA, slot};
use layer::core::geometry::{Geometry, X64};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::memory::{exec_fetch_by, exec_load_by, exec_store_by};
use layer::objects::page_table::Walk;

/// Why a program leaves user mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// The program executed `syscall`.
    SystemCall,
    /// The program caused a page fault. The address is in `ti`.
    PageFault,
    /// The program caused another exception.
    Exception {
        /// The exception.
        reason: Reason,
        /// The error code.
        error: u64,
    },
    /// The time slice is over.
    Interrupt,
}

/// Executes at most `most` instructions of the running program, until it leaves user mode.
///
/// Returns the number of executed instructions, and why the program left user mode, if it did.
///
/// # Errors
/// The errors of the accessors, which are bugs.
pub fn execute(cpu: &mut Cpu<'_, Sim>, program: &mut x86::Cpu, most: u64) -> Result<(u64, Option<Departure>), Stuck> {
    tlb::of(cpu.own.cpu, |tlb| execute_with(cpu, tlb, program, most))
}

/// [`execute`], on a processor with this TLB.
fn execute_with(
    cpu: &mut Cpu<'_, Sim>,
    tlb: &mut Tlb,
    program: &mut x86::Cpu,
    most: u64,
) -> Result<(u64, Option<Departure>), Stuck> {
    let mut space = AddressSpace { cpu, tlb, rip: 0, code: None };
    for executed in 0..most {
        space.rip = program.registers.rip;
        let departure = match program.step(&mut space) {
            Ok(Step::Next) => continue,
            Ok(Step::SystemCall) => Departure::SystemCall,
            Err(Trap::Fault(Refusal::PageFault)) => Departure::PageFault,
            Err(Trap::Fault(Refusal::Stuck(stuck))) => return Err(stuck),
            // Every trap but a page fault has a reason.
            Err(trap) => {
                let reason = trap.reason().unwrap_or(Reason::Unimplemented);
                Departure::Exception { reason, error: trap.error_code() }
            }
        };
        return Ok((executed + 1, Some(departure)));
    }
    Ok((most, None))
}

/// The memory of the running program.
struct AddressSpace<'a, 'm> {
    cpu: &'a mut Cpu<'m, Sim>,
    /// The TLB of the processor.
    tlb: &'a mut Tlb,
    /// The address of the current instruction.
    rip: u64,
    /// The page of the last executed code, and its frame. No translation is invalidated while a program executes.
    code: Option<(u64, u32)>,
}

/// Why an access failed.
enum Refusal {
    PageFault,
    Stuck(Stuck),
}

impl From<Stuck> for Refusal {
    fn from(stuck: Stuck) -> Self {
        Refusal::Stuck(stuck)
    }
}

/// The layer's name for a size.
fn chunk(size: Size) -> Chunk {
    match size {
        Size::Byte => Chunk::One,
        Size::Word => Chunk::Two,
        Size::Double => Chunk::Four,
        Size::Quad => Chunk::Eight,
    }
}

impl AddressSpace<'_, '_> {
    /// The result of an access at an address, unless it faulted.
    fn done<T>(&mut self, address: u64, access: Access<T>) -> Result<T, Refusal> {
        match access {
            Access::Done(value) => Ok(value),
            Access::Fault => {
                if let Ok(address) = u32::try_from(address) {
                    self.tlb.faulted(address);
                }
                Err(Refusal::PageFault)
            }
        }
    }

    /// Loads naturally aligned bytes.
    fn bytes(&mut self, address: u64, size: Size) -> Result<[u32; 8], Refusal> {
        let access = exec_load_by(self.cpu, chunk(size), address, self.rip, |cpu, n, va| self.tlb.walk(cpu, n, va))?;
        self.done(address, access)
    }

    /// Fetches naturally aligned bytes as code.
    fn code(&mut self, address: u64, chunk: Chunk) -> Result<[u32; 8], Refusal> {
        let access = exec_fetch_by(self.cpu, chunk, address, self.rip, |cpu, n, va| self.tlb.walk(cpu, n, va))?;
        self.done(address, access)
    }

    /// Stores naturally aligned bytes.
    fn put(&mut self, address: u64, size: Size, bytes: [u32; 8]) -> Result<(), Refusal> {
        let access =
            exec_store_by(self.cpu, chunk(size), address, bytes, self.rip, |cpu, n, va| self.tlb.walk(cpu, n, va))?;
        self.done(address, access)
    }
}

impl Bus for AddressSpace<'_, '_> {
    type Fault = Refusal;

    fn fetch(&mut self, address: u64, buffer: &mut [u8; 15]) -> Result<usize, Refusal> {
        let page = u64::from(PAGE_SIZE);
        let available = ((page - address % page) as usize).min(buffer.len());
        let mut count = 0;
        while count < available {
            let at = address + count as u64;
            let fits = |size: &Size| at.is_multiple_of(size.bytes()) && size.bytes() as usize <= available - count;
            let size = [Size::Quad, Size::Double, Size::Word].into_iter().find(fits).unwrap_or(Size::Byte);
            let bytes = self.code(at, chunk(size))?;
            for (to, byte) in buffer[count..].iter_mut().zip(&bytes[..size.bytes() as usize]) {
                *to = *byte as u8;
            }
            count += size.bytes() as usize;
        }
        Ok(count)
    }

    fn code_stamp(&mut self, address: u64, length: u64) -> Result<Option<CodeStamp>, Refusal> {
        let page = address / u64::from(PAGE_SIZE);
        let frame = match self.code {
            Some((at, frame)) if at == page => frame,
            _ => {
                // A fetch raises the page fault, if there is one.
                self.code(address, Chunk::One)?;
                let Walk::Mapped { page: frame, .. } = self.tlb.walk(self.cpu, self.cpu.own.cur, address as u32)?
                else {
                    return Ok(None);
                };
                self.code = Some((page, frame));
                frame
            }
        };
        Ok(self.cpu.own.hp.stamps([frame, address as u32 % PAGE_SIZE], length))
    }

    fn load(&mut self, address: u64, size: Size) -> Result<u64, Refusal> {
        let bytes = self.bytes(address, size)?;
        Ok(u64::from_le_bytes(bytes.map(|byte| byte as u8)))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), Refusal> {
        self.put(address, size, value.to_le_bytes().map(u32::from))
    }

    fn probe_store(&mut self, address: u64, size: Size) -> Result<(), Refusal> {
        // Storing the present value changes nothing, and fails exactly if any other store to this place
        // would fail.
        let bytes = self.bytes(address, size)?;
        self.put(address, size, bytes)
    }
}

/// General registers and their slots in a user context.
const GENERAL: [(Gpr, u32); 16] = [
    (Gpr::Rax, slot::EAX),
    (Gpr::Rcx, slot::ECX),
    (Gpr::Rdx, slot::EDX),
    (Gpr::Rbx, slot::EBX),
    (Gpr::Rsp, slot::ESP),
    (Gpr::Rbp, slot::EBP),
    (Gpr::Rsi, slot::ESI),
    (Gpr::Rdi, slot::EDI),
    (Gpr::R8, slot::R10 - 2),
    (Gpr::R9, slot::R10 - 1),
    (Gpr::R10, slot::R10),
    (Gpr::R11, slot::R10 + 1),
    (Gpr::R12, slot::R10 + 2),
    (Gpr::R13, slot::R10 + 3),
    (Gpr::R14, slot::R10 + 4),
    (Gpr::R15, slot::R10 + 5),
];

/// Loads the registers of thread `thread` from its user context.
pub fn load_registers(cpu: &Cpu<'_, Sim>, thread: u32, registers: &mut Registers) {
    let value = |slot| cpu.own.uctxt.get([thread, slot]).value;
    for (register, slot) in GENERAL {
        registers[register] = value(slot);
    }
    registers.rip = value(slot::EIP);
    registers.rflags = value(slot::EFLAGS) | x86::rflags::ONE;
}

/// The registers as a trap saves them, in the order of a user context.
pub fn trap_registers(registers: &Registers, departure: Departure) -> [u64; UCTXT_SIZE as usize] {
    let mut slots = [0; UCTXT_SIZE as usize];
    for (register, slot) in GENERAL {
        slots[slot as usize] = registers[register];
    }
    let number = match departure {
        Departure::SystemCall => SYSTEM_CALL_VECTOR,
        Departure::PageFault => PAGE_FAULT_VECTOR,
        Departure::Exception { reason, .. } => reason as u64,
        Departure::Interrupt => TIMER_VECTOR,
    };
    let error = if let Departure::Exception { error, .. } = departure { error } else { 0 };
    let others = [
        (slot::ERR, error),
        (slot::OESP, registers[Gpr::Rsp]),
        (slot::ES, USER_DATA.into()),
        (slot::DS, USER_DATA.into()),
        (slot::TRAPNO, number),
        (slot::EIP, registers.rip),
        (slot::CS, X64::USER_CODE.into()),
        (slot::EFLAGS, registers.rflags),
        (slot::SS, USER_DATA.into()),
    ];
    for (slot, value) in others {
        slots[slot as usize] = value;
    }
    slots
}

/// The vector that the reference uses for system calls.
const SYSTEM_CALL_VECTOR: u64 = 48;
/// The reference's vector of the first interrupt line, the timer's.
const TIMER_VECTOR: u64 = 32;
/// The processor's vector for page faults.
const PAGE_FAULT_VECTOR: u64 = 14;
