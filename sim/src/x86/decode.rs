//! Fetching and decoding, with a cache.

use super::memory::{Bus, is_canonical};
use super::{Result, Trap};
use iced_x86::{Decoder, DecoderError, DecoderOptions, Instruction};
use std::collections::HashSet;

/// The longest instruction, in bytes.
const LONGEST: usize = 15;
/// Instructions that the cache holds, each in the slot that its address determines.
const SLOTS: usize = 1 << 12;
/// Log2 of the bytes that a store invalidates at once.
const PAGE_SHIFT: u32 = 12;

/// Decoded instructions, by address. Each holds as long as nobody has stored to its page.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Empty until the first instruction.
    slots: Vec<Instruction>,
    /// Pages with a byte of a decoded instruction.
    pages: HashSet<u64>,
    /// The pages lie from `low` to below `high`, so that a store elsewhere need not look them up.
    low: u64,
    high: u64,
}

impl Clone for Cache {
    /// Empty: what it would hold can be decoded again.
    fn clone(&self) -> Self {
        Cache::default()
    }
}

impl Cache {
    /// The instruction at `rip`.
    pub(super) fn decode<B: Bus>(&mut self, rip: u64, bus: &mut B) -> Result<Instruction, B::Fault> {
        let slot = rip as usize % SLOTS;
        if let Some(&instruction) = self.slots.get(slot)
            && instruction.ip() == rip
            && instruction.len() != 0
        {
            return Ok(instruction);
        }
        let instruction = fetch(rip, bus)?;
        if self.slots.is_empty() {
            self.slots = vec![Instruction::default(); SLOTS];
            (self.low, self.high) = (u64::MAX, 0);
        }
        self.slots[slot] = instruction;
        let last = rip + (instruction.len() as u64 - 1);
        for page in rip >> PAGE_SHIFT..=last >> PAGE_SHIFT {
            self.pages.insert(page);
            self.low = self.low.min(page << PAGE_SHIFT);
            self.high = self.high.max((page + 1) << PAGE_SHIFT);
        }
        Ok(instruction)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Cache::default();
    }

    /// Forgets everything if a store touches a page with decoded instructions.
    pub(super) fn stored(&mut self, address: u64, bytes: u64) {
        let last = address + (bytes - 1);
        if address < self.high && last >= self.low {
            let pages = [address >> PAGE_SHIFT, last >> PAGE_SHIFT];
            if pages.iter().any(|page| self.pages.contains(page)) {
                self.clear();
            }
        }
    }
}

/// Fetches as much as the instruction at `rip` needs, and decodes it.
fn fetch<B: Bus>(rip: u64, bus: &mut B) -> Result<Instruction, B::Fault> {
    if !is_canonical(rip, 1) {
        return Err(Trap::GeneralProtection);
    }
    let mut bytes = [0; LONGEST];
    let mut count = bus.fetch(rip, &mut bytes).map_err(Trap::Fault)?.min(LONGEST);
    loop {
        match decode(&bytes[..count], rip) {
            Ok(instruction) => return Ok(instruction),
            Err(DecoderError::NoMoreBytes) if count < LONGEST => {}
            Err(_) if count == LONGEST && is_too_long(&bytes, rip) => {
                return Err(Trap::GeneralProtection);
            }
            Err(_) => return Err(Trap::InvalidOpcode),
        }
        let rest = rip + count as u64;
        if !is_canonical(rest, 1) {
            return Err(Trap::GeneralProtection);
        }
        let mut more = [0; LONGEST];
        let got = bus.fetch(rest, &mut more).map_err(Trap::Fault)?.clamp(1, LONGEST - count);
        bytes[count..count + got].copy_from_slice(&more[..got]);
        count += got;
    }
}

/// Decodes the instruction that begins with these bytes.
fn decode(bytes: &[u8], rip: u64) -> core::result::Result<Instruction, DecoderError> {
    let mut decoder = Decoder::with_ip(64, bytes, rip, DecoderOptions::NONE);
    let instruction = decoder.decode();
    match decoder.last_error() {
        DecoderError::None => Ok(instruction),
        error => Err(error),
    }
}

/// Whether what makes these bytes no instruction is that it would be longer than they are, to which the
/// processor objects in its own way: the decoder wants the last of them and still has no instruction.
fn is_too_long(bytes: &[u8; LONGEST], rip: u64) -> bool {
    matches!(decode(&bytes[..LONGEST - 1], rip), Err(DecoderError::NoMoreBytes))
}

#[cfg(test)]
mod tests {
    use crate::x86::testing::{CODE, DATA, Fault, machine, machine_with, refuses, steps};
    use crate::x86::{Gpr, Step, Trap};
    use iced_x86::code_asm::*;

    #[test]
    fn what_is_decoded_is_not_fetched_again() {
        let (mut cpu, mut memory) = machine(|a| {
            let mut start = a.create_label();
            a.set_label(&mut start)?;
            a.inc(eax)?;
            a.jmp(start)
        });
        steps(&mut cpu, &mut memory, 20);
        assert_eq!((memory.fetches, cpu.registers[Gpr::Rax]), (2, 10));
        let mut clone = cpu.clone();
        steps(&mut clone, &mut memory, 2);
        assert_eq!(memory.fetches, 4);
        cpu.forget_code();
        steps(&mut cpu, &mut memory, 2);
        assert_eq!(memory.fetches, 6);
    }

    #[test]
    fn code_that_changes_itself_is_decoded_again() {
        let (mut cpu, mut memory) = machine(|a| {
            let mut start = a.create_label();
            a.set_label(&mut start)?;
            a.nop()?;
            // The opcode of `inc eax` with a prefix that does nothing.
            a.mov(byte_ptr(CODE), 0xF4)?;
            a.jmp(start)
        });
        steps(&mut cpu, &mut memory, 3);
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    }

    #[test]
    fn an_instruction_may_lie_on_two_pages() {
        let (mut cpu, mut memory) = machine(|a| a.nop());
        let end = DATA + 4096;
        // mov eax, 0x12345678
        memory.write(end - 2, &[0xB8, 0x78]);
        cpu.registers.rip = end - 2;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(end)));
        memory.map(end);
        memory.write(end, &[0x56, 0x34, 0x12]);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers[Gpr::Rax], cpu.registers.rip), (0x1234_5678, end + 3));
        // A store to either page is noticed.
        cpu.registers.rip = end - 2;
        memory.write(CODE, &[0xC6, 0x03, 0x99]);
        cpu.registers[Gpr::Rbx] = end;
        cpu.registers.rip = CODE;
        assert_eq!(cpu.step(&mut memory), Ok(Step::Next));
        cpu.registers.rip = end - 2;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers[Gpr::Rax], 0x1234_9978);
    }

    #[test]
    fn bytes_that_are_no_instruction() {
        // An opcode that does not exist; `lock nop`; `vzeroupper`, as there is no AVX.
        for code in [&[0x06][..], &[0xF0, 0x90], &[0xC5, 0xF8, 0x77]] {
            let (mut cpu, mut memory) = machine_with(code);
            refuses(&mut cpu, &mut memory, Trap::InvalidOpcode);
        }
        // More than fifteen bytes.
        let (mut cpu, mut memory) = machine_with(&[[0x66; 15].as_slice(), &[0x90]].concat());
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    }
}
