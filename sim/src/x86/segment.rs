//! Segments: loads of segment registers, far transfers, and the instructions that check selectors.
//!
//! The descriptors are the kernel's (`kernel/src/cpu/descriptors.rs`). In 64-bit mode a program can use only its own code
//! and its own data segment. There is no local table and no call gate, so that no transfer changes the mode or the
//! ring.

use super::execution::Execution;
use super::memory::{self, Bus, Size, is_canonical};
use super::registers::Gpr::Rsp;
use super::registers::rflags::{NT, POPPED, ZF};
use super::selectors::{Segments, USER_CODE, USER_DATA};
use super::trap::{Result, Trap};
use iced_x86::{Code, Mnemonic, Register};

/// The bits of a selector that choose a descriptor, without the requested privilege. If a segment is refused,
/// they are the error code.
const fn index(selector: u16) -> u16 {
    selector & !3
}

/// The segment that a program's selector chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Segment {
    Null,
    Code,
    Data,
    /// A segment of the kernel, or none at all.
    Refused,
}

impl Segment {
    fn of(selector: u16) -> Segment {
        match index(selector) {
            0 => Segment::Null,
            code if code == index(USER_CODE) => Segment::Code,
            data if data == index(USER_DATA) => Segment::Data,
            _ => Segment::Refused,
        }
    }

    /// The access rights as in `lar`: present, ring 3, accessed, with a limit in pages.
    fn rights(self) -> Option<u64> {
        match self {
            Segment::Code => Some(0x00AF_FB00),
            Segment::Data => Some(0x00CF_F300),
            Segment::Null | Segment::Refused => None,
        }
    }
}

/// Whether a selector requests ring 3.
const fn is_of_ring_3(selector: u16) -> bool {
    selector & 3 == 3
}

impl<B: Bus> Execution<'_, B> {
    /// Raises the exception with this selector as its error code.
    fn refuse<T>(&self, selector: u16) -> Result<T, B::Fault> {
        Err(Trap::BadSelector(index(selector)))
    }

    /// Whether the operand with this number is a segment register.
    pub(super) fn is_segment(&self, operand: u32) -> bool {
        self.instruction.op_register(operand).is_segment_register()
    }

    /// Loads a segment register. If the load fails, nothing changes.
    fn load_segment(&mut self, register: Register, selector: u16) -> Result<(), B::Fault> {
        match (register, Segment::of(selector)) {
            (Register::CS, _) => return Err(Trap::InvalidOpcode),
            // SS holds this selector already, because there is no other.
            (Register::SS, Segment::Data) if is_of_ring_3(selector) => {}
            (Register::SS, _) | (_, Segment::Refused) => return self.refuse(selector),
            _ => match Segments::place(register) {
                Some(place) => self.registers.segments.data[place] = selector,
                None => return self.unimplemented(),
            },
        }
        Ok(())
    }

    /// The selector in a segment register.
    fn segment(&self, register: Register) -> Result<u64, B::Fault> {
        self.registers.segments.get(register).map_or_else(|| self.unimplemented(), |selector| Ok(selector.into()))
    }

    /// `mov` between a segment register and something else.
    pub(super) fn copy_segment(&mut self) -> Result<(), B::Fault> {
        if self.is_segment(0) {
            let selector = self.read(1)?;
            return self.load_segment(self.instruction.op0_register(), selector as u16);
        }
        let selector = self.segment(self.instruction.op1_register())?;
        self.write(0, selector)
    }

    /// `push` of a segment register.
    pub(super) fn push_segment(&mut self) -> Result<(), B::Fault> {
        let size = match self.instruction.code() {
            Code::Pushq_FS | Code::Pushq_GS => Size::Quad,
            Code::Pushw_FS | Code::Pushw_GS => Size::Word,
            _ => return self.unimplemented(),
        };
        let selector = self.segment(self.instruction.op0_register())?;
        self.push_value(selector, size)
    }

    /// `pop` to a segment register.
    pub(super) fn pop_segment(&mut self) -> Result<(), B::Fault> {
        let size = match self.instruction.code() {
            Code::Popq_FS | Code::Popq_GS => Size::Quad,
            Code::Popw_FS | Code::Popw_GS => Size::Word,
            _ => return self.unimplemented(),
        };
        let (selector, top) = self.peek(size)?;
        self.load_segment(self.instruction.op0_register(), selector as u16)?;
        self.registers[Rsp] = top;
        Ok(())
    }

    /// The offset and the selector of a far pointer in memory whose offset has this size.
    fn far_pointer(&mut self, size: Size) -> Result<(u64, u16), B::Fault> {
        let address = self.address()?;
        let offset = self.load(address, size)?;
        let selector = self.load(address.wrapping_add(size.bytes()), Size::Word)?;
        Ok((offset, selector as u16))
    }

    /// `lss`, `lfs`, `lgs`: a segment register and a general one.
    pub(super) fn load_far_pointer(&mut self) -> Result<(), B::Fault> {
        let register = match self.instruction.mnemonic() {
            Mnemonic::Lss => Register::SS,
            Mnemonic::Lfs => Register::FS,
            _ => Register::GS,
        };
        let size = self.size(0)?;
        let (offset, selector) = self.far_pointer(size)?;
        self.load_segment(register, selector)?;
        self.write(0, offset)
    }

    /// Whether the instruction is a `jmp` or `call` through a far pointer.
    pub(super) fn is_far(&self) -> bool {
        self.far_size().is_some()
    }

    /// Checks that a far transfer can go to this offset of this segment. `returns` means that the transfer may stay
    /// in its ring or go to an outer one.
    fn check_code(&self, offset: u64, selector: u16, returns: bool) -> Result<(), B::Fault> {
        if Segment::of(selector) != Segment::Code || returns && !is_of_ring_3(selector) {
            return self.refuse(selector);
        }
        if is_canonical(offset, 1) { Ok(()) } else { Err(Trap::GeneralProtection) }
    }

    /// The size of the offset, if the instruction is a `jmp` or `call` through a far pointer.
    fn far_size(&self) -> Option<Size> {
        match self.instruction.code() {
            Code::Jmp_m1616 | Code::Call_m1616 => Some(Size::Word),
            Code::Jmp_m1632 | Code::Call_m1632 => Some(Size::Double),
            Code::Jmp_m1664 | Code::Call_m1664 => Some(Size::Quad),
            _ => None,
        }
    }

    /// `jmp` through a far pointer.
    pub(super) fn jump_far(&mut self) -> Result<(), B::Fault> {
        let Some(size) = self.far_size() else { return self.unimplemented() };
        let (offset, selector) = self.far_pointer(size)?;
        self.check_code(offset, selector, false)?;
        self.next = offset;
        Ok(())
    }

    /// `call` through a far pointer.
    pub(super) fn call_far(&mut self) -> Result<(), B::Fault> {
        let Some(size) = self.far_size() else { return self.unimplemented() };
        let (offset, selector) = self.far_pointer(size)?;
        self.check_code(offset, selector, false)?;
        let back = u128::from(USER_CODE) << size.bits() | u128::from(self.next & size.mask());
        let (top, bytes) = (self.registers[Rsp].wrapping_sub(2 * size.bytes()), 2 * size.bytes());
        if !is_canonical(top, bytes) {
            return Err(Trap::StackFault);
        }
        memory::store(self.bus, top, bytes, back)?;
        self.registers[Rsp] = top;
        self.next = offset;
        Ok(())
    }

    /// The word with this number on the stack.
    fn stacked(&mut self, number: u64, size: Size) -> Result<u64, B::Fault> {
        let address = self.registers[Rsp].wrapping_add(number * size.bytes());
        self.load_at(address, size)
    }

    /// `retf`, and `retf n`, which drops `n` more bytes.
    pub(super) fn return_far(&mut self) -> Result<(), B::Fault> {
        let (size, more) = match self.instruction.code() {
            Code::Retfw => (Size::Word, 0),
            Code::Retfd => (Size::Double, 0),
            Code::Retfq => (Size::Quad, 0),
            Code::Retfw_imm16 => (Size::Word, self.read(0)?),
            Code::Retfd_imm16 => (Size::Double, self.read(0)?),
            Code::Retfq_imm16 => (Size::Quad, self.read(0)?),
            _ => return self.unimplemented(),
        };
        let [offset, selector] = [self.stacked(0, size)?, self.stacked(1, size)?];
        self.check_code(offset, selector as u16, true)?;
        self.registers[Rsp] = self.registers[Rsp].wrapping_add(2 * size.bytes() + more);
        self.next = offset;
        Ok(())
    }

    /// `iret`. In 64-bit mode it also loads RSP and SS from the stack.
    pub(super) fn return_from_interrupt(&mut self) -> Result<(), B::Fault> {
        let size = match self.instruction.code() {
            Code::Iretw => Size::Word,
            Code::Iretd => Size::Double,
            Code::Iretq => Size::Quad,
            _ => return self.unimplemented(),
        };
        if self.registers.flag(NT) {
            return Err(Trap::GeneralProtection);
        }
        let mut frame = [0; 5];
        for (number, word) in (0..).zip(&mut frame) {
            *word = self.stacked(number, size)?;
        }
        let [offset, code, flags, top, stack] = frame;
        self.check_code(offset, code as u16, true)?;
        self.load_segment(Register::SS, stack as u16)?;
        self.registers.set_flags(POPPED & size.mask(), flags);
        self.registers[Rsp] = top;
        self.next = offset;
        Ok(())
    }

    /// `lar`, `lsl`, `verr`, `verw`: ZF is set if the selector is a program's. The first two also return rights or
    /// limit.
    pub(super) fn ask_about_selector(&mut self) -> Result<(), B::Fault> {
        let mnemonic = self.instruction.mnemonic();
        let operand = if matches!(mnemonic, Mnemonic::Lar | Mnemonic::Lsl) { 1 } else { 0 };
        let segment = Segment::of(self.read(operand)? as u16);
        let rights = segment.rights().filter(|_| mnemonic != Mnemonic::Verw || segment == Segment::Data);
        match (mnemonic, rights) {
            (Mnemonic::Lar, Some(rights)) => self.write(0, rights)?,
            (Mnemonic::Lsl, Some(_)) => self.write(0, u32::MAX.into())?,
            _ => {}
        }
        self.registers.set_flags(ZF, if rights.is_some() { ZF } else { 0 });
        Ok(())
    }

    /// Whether the instruction has loaded SS by `mov`. If so, no trap occurs before the next instruction has
    /// been executed.
    pub(super) fn loads_stack_segment(&self) -> bool {
        self.instruction.mnemonic() == Mnemonic::Mov && self.instruction.op0_register() == Register::SS
    }
}

#[cfg(test)]
mod tests {
    use crate::x86::testing::{CODE, DATA, Fault, STACK, machine_with, refuses, steps};
    use crate::x86::{Cpu, Gpr, Trap, rflags};

    /// A machine that executes `code`, with these 64-bit words on the stack.
    fn with_stack(code: &[u8], words: &[u64]) -> (Cpu, crate::x86::testing::Memory) {
        let (mut cpu, mut memory) = machine_with(code);
        let top = STACK - 8 * words.len() as u64;
        for (at, word) in (top..).step_by(8).zip(words) {
            memory.write(at, &word.to_le_bytes());
        }
        cpu.registers[Gpr::Rsp] = top;
        (cpu, memory)
    }

    const JUMP_FAR: &[u8] = &[0xFF, 0x2C, 0x24];
    const CALL_FAR: &[u8] = &[0xFF, 0x1C, 0x24];
    const RETURN_FAR: &[u8] = &[0x48, 0xCB];
    const IRETQ: &[u8] = &[0x48, 0xCF];
    /// `mov ds, eax`, `mov ss, eax`, `pop gs`.
    const MOV_DS: &[u8] = &[0x8E, 0xD8];
    const MOV_SS: &[u8] = &[0x8E, 0xD0];
    const POP_GS: &[u8] = &[0x0F, 0xA9];

    /// Selectors that every load refuses, and the error code.
    const REFUSED: [(u64, u16); 11] = [
        (0x08, 0x08),
        (0x0B, 0x08),
        (0x10, 0x10),
        (0x18, 0x18),
        (0x1B, 0x18),
        (0x30, 0x30),
        (0x33, 0x30),
        (0x3B, 0x38),
        (0x40, 0x40),
        (0x07, 0x04),
        (0xFFFF, 0xFFFC),
    ];

    #[test]
    fn no_selector_leads_to_another_mode_or_ring() {
        for (selector, error) in REFUSED.into_iter().chain([(0, 0), (3, 0), (0x23, 0x20)]) {
            let trap = Trap::BadSelector(error);
            for code in [JUMP_FAR, CALL_FAR] {
                let (mut cpu, mut memory) = with_stack(code, &[selector << 32 | CODE, 0]);
                refuses(&mut cpu, &mut memory, trap);
            }
            let (mut cpu, mut memory) = with_stack(RETURN_FAR, &[CODE, selector]);
            refuses(&mut cpu, &mut memory, trap);
            let (mut cpu, mut memory) = with_stack(IRETQ, &[CODE, selector, 2, STACK, 0x23]);
            refuses(&mut cpu, &mut memory, trap);
        }
        for (selector, error) in REFUSED {
            let trap = Trap::BadSelector(error);
            for code in [MOV_DS, MOV_SS] {
                let (mut cpu, mut memory) = machine_with(code);
                cpu.registers[Gpr::Rax] = selector;
                refuses(&mut cpu, &mut memory, trap);
            }
            let (mut cpu, mut memory) = with_stack(POP_GS, &[selector]);
            refuses(&mut cpu, &mut memory, trap);
        }
        for (selector, error) in [(0, 0), (3, 0), (0x20, 0x20), (0x2B, 0x28)] {
            let (mut cpu, mut memory) = machine_with(MOV_SS);
            cpu.registers[Gpr::Rax] = selector;
            refuses(&mut cpu, &mut memory, Trap::BadSelector(error));
            let (mut cpu, mut memory) = with_stack(IRETQ, &[CODE, 0x2B, 2, STACK, selector]);
            refuses(&mut cpu, &mut memory, Trap::BadSelector(error));
        }
        // A return may not request another ring than its own.
        let (mut cpu, mut memory) = with_stack(RETURN_FAR, &[CODE, 0x28]);
        refuses(&mut cpu, &mut memory, Trap::BadSelector(0x28));
    }

    #[test]
    fn far_transfers_within_a_program() {
        for selector in [0x28, 0x2B] {
            let (mut cpu, mut memory) = with_stack(JUMP_FAR, &[selector << 32 | 0x1234, 0]);
            steps(&mut cpu, &mut memory, 1);
            assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rsp]), (0x1234, STACK - 16));
        }
        let (mut cpu, mut memory) = with_stack(CALL_FAR, &[0x2B << 32 | CODE, 0]);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rsp]), (CODE, STACK - 24));
        assert_eq!(memory.quad(STACK - 24), 0x2B << 32 | (CODE + 3));
        let (mut cpu, mut memory) = with_stack(RETURN_FAR, &[0x1234, 0x2B]);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rsp]), (0x1234, STACK));
        let (mut cpu, mut memory) = with_stack(IRETQ, &[0x1234, 0x2B, u64::MAX, DATA, 0x23]);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rsp]), (0x1234, DATA));
        assert_eq!(cpu.registers.rflags, rflags::POPPED | rflags::IF | rflags::ONE);
    }

    #[test]
    fn a_far_transfer_that_fails_changes_nothing() {
        let (mut cpu, mut memory) = with_stack(IRETQ, &[CODE, 0x2B, 2, STACK, 0x23]);
        cpu.registers.rflags |= rflags::NT;
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
        let (mut cpu, mut memory) = with_stack(RETURN_FAR, &[1 << 47, 0x2B]);
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
        // call far [rbx], without a stack
        let (mut cpu, mut memory) = machine_with(&[0xFF, 0x1B]);
        memory.write(DATA + 64, &(0x2B << 32 | CODE).to_le_bytes());
        cpu.registers[Gpr::Rbx] = DATA + 64;
        cpu.registers[Gpr::Rsp] = DATA + 4;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(DATA - 4)));
    }

    #[test]
    fn what_is_loaded_is_there() {
        // mov ds, eax; mov ebx, ds; push 0x20; pop fs; mov ecx, fs; mov edx, ss; mov esi, cs; mov edi, gs
        let code = [0x8E, 0xD8, 0x8C, 0xDB, 0x6A, 0x20, 0x0F, 0xA1, 0x8C, 0xE1, 0x8C, 0xD2, 0x8C, 0xCE, 0x8C, 0xEF];
        for selector in [0, 3, 0x20, 0x23, 0x28, 0x2B] {
            let (mut cpu, mut memory) = machine_with(&code);
            cpu.registers[Gpr::Rax] = selector;
            steps(&mut cpu, &mut memory, 8);
            let registers = [Gpr::Rbx, Gpr::Rcx, Gpr::Rdx, Gpr::Rsi, Gpr::Rdi].map(|register| cpu.registers[register]);
            assert_eq!(registers, [selector, 0x20, 0x23, 0x2B, 0x23]);
        }
    }

    #[test]
    fn only_the_programs_own_segments_are_known() {
        // lar ecx, eax; lsl ecx, eax; verr ax; verw ax
        let codes: [&[u8]; 4] = [&[0x0F, 0x02, 0xC8], &[0x0F, 0x03, 0xC8], &[0x0F, 0x00, 0xE0], &[0x0F, 0x00, 0xE8]];
        let known = |selector: u64| {
            codes.map(|code| {
                let (mut cpu, mut memory) = machine_with(code);
                cpu.registers[Gpr::Rax] = selector;
                steps(&mut cpu, &mut memory, 1);
                (cpu.registers.flag(rflags::ZF), cpu.registers[Gpr::Rcx])
            })
        };
        let unknown = [(false, 0); 4];
        for (selector, _) in REFUSED.into_iter().chain([(0, 0)]) {
            assert_eq!(known(selector), unknown, "{selector:#x}");
        }
        assert_eq!(known(0x23), [(true, 0xCF_F300), (true, 0xFFFF_FFFF), (true, 0), (true, 0)]);
        assert_eq!(known(0x28), [(true, 0xAF_FB00), (true, 0xFFFF_FFFF), (true, 0), (false, 0)]);
    }

    #[test]
    fn no_trap_comes_between_a_load_of_ss_and_the_next_instruction() {
        // mov ss, eax; nop
        let (mut cpu, mut memory) = machine_with(&[0x8E, 0xD0, 0x90]);
        cpu.registers[Gpr::Rax] = 0x23;
        cpu.registers.rflags |= rflags::TF;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.step(&mut memory), Err(Trap::Debug));
        assert_eq!(cpu.registers.rip, CODE + 3);
    }
}
