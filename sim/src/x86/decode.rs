//! Fetching and decoding, with a cache.

use super::memory::{Bus, CodeStamp, is_canonical};
use super::trap::{Result, Trap};
use iced_x86::{Code, Decoder, DecoderError, DecoderOptions, Instruction};

/// The longest instruction, in bytes.
const LONGEST: usize = 15;
/// The number of slots of the cache. The address of an instruction determines its slot.
const SLOTS: usize = 1 << 12;
/// Bytes of a page.
const PAGE: u64 = 4096;

/// A cache of decoded instructions, by address. At each use the memory is asked whether the bytes are the same. So it
/// does not matter how the code is changed: by a store, or by another mapping.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Empty until the first instruction.
    slots: Vec<Decoded>,
}

/// A decoded instruction, with the stamps of its bytes when they were fetched.
#[derive(Clone, Copy, Debug, Default)]
struct Decoded {
    instruction: Instruction,
    stamps: Stamps,
}

/// The stamps of an instruction's bytes: those on its first page, and those on the next page, if any.
type Stamps = (Option<CodeStamp>, Option<CodeStamp>);

impl Clone for Cache {
    /// The clone is empty, because its entries can be decoded again.
    fn clone(&self) -> Self {
        Cache::default()
    }
}

impl Cache {
    /// The instruction at `rip`.
    pub(super) fn decode<B: Bus>(&mut self, rip: u64, bus: &mut B) -> Result<Instruction, B::Fault> {
        let slot = rip as usize % SLOTS;
        if let Some(Decoded { instruction, stamps: kept }) = self.slots.get(slot)
            && instruction.ip() == rip
            && instruction.len() != 0
            && let (Some(_), second) = kept
            && (second.is_some() || !crosses(instruction))
            && stamps(instruction, bus)? == *kept
        {
            return Ok(*instruction);
        }
        let instruction = fetch(rip, bus)?;
        if self.slots.is_empty() {
            self.slots = vec![Decoded::default(); SLOTS];
        }
        let stamps = stamps(&instruction, bus)?;
        self.slots[slot] = Decoded { instruction, stamps };
        Ok(instruction)
    }
}

/// The number of the instruction's bytes on its first page.
fn on_first_page(instruction: &Instruction) -> u64 {
    (PAGE - instruction.ip() % PAGE).min(instruction.len() as u64)
}

/// Whether an instruction extends to a second page.
fn crosses(instruction: &Instruction) -> bool {
    on_first_page(instruction) < instruction.len() as u64
}

/// The current stamps of an instruction's bytes.
fn stamps<B: Bus>(instruction: &Instruction, bus: &mut B) -> Result<Stamps, B::Fault> {
    let (address, first) = (instruction.ip(), on_first_page(instruction));
    let mut stamp = |address, length| bus.code_stamp(address, length).map_err(Trap::Fault);
    let rest = instruction.len() as u64 - first;
    let on_first = stamp(address, first)?;
    Ok((on_first, if rest == 0 { None } else { stamp(address + first, rest)? }))
}

/// Fetches the bytes of the instruction at `rip`, and decodes them.
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
    // Opcodes reserved for hints are decoded. The processor ignores them: prefetching, memory protection, control-flow
    // enforcement.
    let mut decoder = Decoder::with_ip(64, bytes, rip, DecoderOptions::FORCE_RESERVED_NOP);
    let instruction = decoder.decode();
    match decoder.last_error() {
        DecoderError::None if instruction.code() == Code::Pause => Ok(pause_or_exchange(instruction, bytes)),
        DecoderError::None => Ok(instruction),
        error => Err(error),
    }
}

/// `pause` is F3 90. If REX.B is in between, it is `xchg r8, rax`: processors ignore the F3, but the decoder does
/// not.
fn pause_or_exchange(pause: Instruction, bytes: &[u8]) -> Instruction {
    const REPEAT: u8 = 0xF3;
    const DATA_SEGMENT: u8 = 0x3E;
    let bytes = &bytes[..pause.len()];
    if bytes.iter().nth_back(1).is_none_or(|rex| rex & 0xF1 != 0x41) {
        return pause;
    }
    // Replaces the prefix by one of the same length that has no effect here.
    let bytes: Vec<u8> = bytes.iter().map(|&byte| if byte == REPEAT { DATA_SEGMENT } else { byte }).collect();
    Decoder::with_ip(64, &bytes, pause.ip(), DecoderOptions::NONE).decode()
}

/// Whether these bytes are invalid because the instruction would be too long. A processor raises a different exception
/// for that. In this case the decoder needs the last byte and still finds no instruction.
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
    }

    #[test]
    fn code_that_somebody_else_has_changed_is_decoded_again() {
        let (mut cpu, mut memory) = machine(|a| a.mov(eax, 1));
        steps(&mut cpu, &mut memory, 1);
        // The kernel stores a message there.
        memory.write(CODE, &[0xB8, 2]);
        cpu.registers.rip = CODE;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers[Gpr::Rax], 2);
        // Another page is mapped there.
        memory.map(CODE);
        memory.write(CODE, &[0xB8, 3]);
        cpu.registers.rip = CODE;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers[Gpr::Rax], 3);
        // The page is unmapped.
        memory.pages.remove(&(CODE / 4096));
        cpu.registers.rip = CODE;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(CODE)));
    }

    #[test]
    fn the_second_page_of_an_instruction_may_change_too() {
        let (mut cpu, mut memory) = machine(|a| a.nop());
        let end = DATA + 4096;
        memory.write(end - 2, &[0xB8, 1]);
        memory.map(end);
        cpu.registers.rip = end - 2;
        steps(&mut cpu, &mut memory, 1);
        memory.write(end, &[1]);
        cpu.registers.rip = end - 2;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers[Gpr::Rax], 0x101);
        memory.pages.remove(&(end / 4096));
        cpu.registers.rip = end - 2;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(end)));
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
        // An opcode that does not exist; `lock nop`; `vzeroupper` and `vaddps`, as AVX is not enabled.
        for code in [&[0x06][..], &[0xF0, 0x90], &[0xC5, 0xF8, 0x77], &[0xC5, 0xF0, 0x58, 0xC2]] {
            let (mut cpu, mut memory) = machine_with(code);
            refuses(&mut cpu, &mut memory, Trap::InvalidOpcode);
        }
        // More than fifteen bytes.
        let (mut cpu, mut memory) = machine_with(&[[0x66; 15].as_slice(), &[0x90]].concat());
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    }
}
