//! Helpers of the unit tests: a few pages of memory, and a way to run assembled code there.

use super::{Bus, CodeStamp, Cpu, Gpr, Registers, Size, Step, Trap};
use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;
use std::collections::BTreeMap;

/// The address of assembled code.
pub(super) const CODE: u64 = 0x40_0000;
/// The address of a page of zeroes. The next page is not mapped.
pub(super) const DATA: u64 = 0x50_0000;
/// The end of a page of zeroes. The page before is not mapped.
pub(super) const STACK: u64 = 0x60_1000;

const PAGE: u64 = 4096;

/// The address of a refused access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault(pub(super) u64);

/// Pages by number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Memory {
    pub(super) pages: BTreeMap<u64, [u8; PAGE as usize]>,
    /// The number of fetches.
    pub(super) fetches: usize,
}

impl Memory {
    /// Maps a page of zeroes.
    pub(super) fn map(&mut self, address: u64) {
        self.pages.insert(address / PAGE, [0; PAGE as usize]);
    }

    /// Copies bytes to mapped pages.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) {
        for (address, &byte) in (address..).zip(bytes) {
            self.rest(address).expect("mapped")[0] = byte;
        }
    }

    /// The 64 bits at an address.
    pub(super) fn quad(&mut self, address: u64) -> u64 {
        let bytes = self.rest(address).expect("mapped");
        u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
    }

    fn rest(&mut self, address: u64) -> Result<&mut [u8], Fault> {
        let page = self.pages.get_mut(&(address / PAGE)).ok_or(Fault(address))?;
        Ok(&mut page[(address % PAGE) as usize..])
    }
}

/// Up to 15 bytes of code as their own stamp.
fn bytes_as_stamp(bytes: &[u8]) -> CodeStamp {
    let value = bytes.iter().fold(0u128, |value, &byte| value << 8 | u128::from(byte));
    [value as u64, (value >> 64) as u64]
}

impl Bus for Memory {
    type Fault = Fault;

    fn fetch(&mut self, address: u64, buffer: &mut [u8; 15]) -> Result<usize, Fault> {
        self.fetches += 1;
        let bytes = self.rest(address)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn code_stamp(&mut self, address: u64, length: u64) -> Result<Option<CodeStamp>, Fault> {
        Ok(Some(bytes_as_stamp(&self.rest(address)?[..length as usize])))
    }

    fn load(&mut self, address: u64, size: Size) -> Result<u64, Fault> {
        let bytes = &self.rest(address)?[..size.bytes() as usize];
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), Fault> {
        let count = size.bytes() as usize;
        self.rest(address)?[..count].copy_from_slice(&value.to_le_bytes()[..count]);
        Ok(())
    }

    fn probe_store(&mut self, address: u64, _size: Size) -> Result<(), Fault> {
        self.rest(address).map(drop)
    }
}

/// Assembled code at [`CODE`], with a page at [`DATA`] and one below [`STACK`].
pub(super) fn machine(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> (Cpu, Memory) {
    let mut assembler = CodeAssembler::new(64).expect("64 bits exist");
    write(&mut assembler).expect("the code is well-formed");
    machine_with(&assembler.assemble(CODE).expect("the code is well-formed"))
}

/// The same with these bytes for code.
pub(super) fn machine_with(code: &[u8]) -> (Cpu, Memory) {
    let mut memory = Memory::default();
    for address in [CODE, DATA, STACK - PAGE] {
        memory.map(address);
    }
    memory.write(CODE, code);
    let mut registers = Registers { rip: CODE, ..Registers::default() };
    registers[Gpr::Rsp] = STACK;
    (Cpu::new(registers), memory)
}

/// Executes this many instructions, none of which may trap.
pub(super) fn steps(cpu: &mut Cpu, memory: &mut Memory, count: usize) {
    for _ in 0..count {
        assert_eq!(cpu.step(memory), Ok(Step::Next));
    }
}

/// Checks that the next instruction traps and changes nothing.
pub(super) fn refuses(cpu: &mut Cpu, memory: &mut Memory, trap: Trap<Fault>) {
    let (registers, before) = (cpu.registers.clone(), memory.pages.clone());
    assert_eq!(cpu.step(memory), Err(trap));
    assert_eq!(cpu.registers, registers);
    assert!(memory.pages == before, "memory has changed");
}
