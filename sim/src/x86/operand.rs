//! The operands of an instruction.

use super::execution::Execution;
use super::memory::{self, Bus, Size, is_canonical};
use super::registers::Registers;
use super::registers::rflags::AC;
use super::trap::{Result, Trap};
use iced_x86::{OpKind, Register};

impl<B: Bus> Execution<'_, B> {
    /// The trap of an instruction that the interpreter does not implement.
    pub(super) fn unimplemented<T>(&self) -> Result<T, B::Fault> {
        let mnemonic = self.instruction.mnemonic();
        Err(Trap::Unimplemented { mnemonic, rip: self.instruction.ip() })
    }

    /// Value of a general register.
    pub(super) fn register(&self, register: Register) -> Result<u64, B::Fault> {
        self.registers.read(register).map_or_else(|| self.unimplemented(), Ok)
    }

    /// Changes a general register.
    pub(super) fn set_register(&mut self, register: Register, value: u64) -> Result<(), B::Fault> {
        self.registers.write(register, value).map_or_else(|| self.unimplemented(), Ok)
    }

    /// Size of an operand: of a register or of memory.
    pub(super) fn size(&self, operand: u32) -> Result<Size, B::Fault> {
        let bytes = match self.instruction.op_kind(operand) {
            OpKind::Register => self.instruction.op_register(operand).size(),
            _ => self.instruction.memory_size().size(),
        };
        Size::from_bytes(bytes).map_or_else(|| self.unimplemented(), Ok)
    }

    /// The value of an operand: a general register, an immediate (sign-extended as the instruction requires) or memory
    /// of up to 8 bytes.
    pub(super) fn read(&mut self, operand: u32) -> Result<u64, B::Fault> {
        match self.instruction.op_kind(operand) {
            OpKind::Register => self.register(self.instruction.op_register(operand)),
            OpKind::Memory => {
                let size = self.size(operand)?;
                let address = self.address()?;
                self.load(address, size)
            }
            OpKind::Immediate8
            | OpKind::Immediate8_2nd
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64 => Ok(self.instruction.immediate(operand)),
            _ => self.unimplemented(),
        }
    }

    /// Changes an operand: a general register, or memory of up to 8 bytes.
    pub(super) fn write(&mut self, operand: u32, value: u64) -> Result<(), B::Fault> {
        match self.instruction.op_kind(operand) {
            OpKind::Register => self.set_register(self.instruction.op_register(operand), value),
            OpKind::Memory => {
                let size = self.size(operand)?;
                let address = self.address()?;
                self.store(address, size, value)
            }
            _ => self.unimplemented(),
        }
    }

    /// Address of the memory operand. The bases of all segments are 0.
    pub(super) fn address(&self) -> Result<u64, B::Fault> {
        let instruction = &self.instruction;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let mut address = instruction.memory_displacement64();
        let mut narrow = base.size() == 4 || index.size() == 4;
        match base {
            // The displacement of these already includes RIP.
            Register::None | Register::RIP => {}
            Register::EIP => narrow = true,
            _ => address = address.wrapping_add(self.register(base)?),
        }
        if index != Register::None {
            let scale = u64::from(instruction.memory_index_scale());
            address = address.wrapping_add(self.register(index)?.wrapping_mul(scale));
        }
        Ok(if narrow { address & 0xFFFF_FFFF } else { address })
    }

    /// Traps if an access by the memory operand is not canonical. Only segment prefixes of FS and GS count.
    fn check_canonical(&self, address: u64, bytes: u64) -> Result<(), B::Fault> {
        if is_canonical(address, bytes) {
            Ok(())
        } else if matches!(self.instruction.memory_base(), Register::RSP | Register::RBP)
            && !matches!(self.instruction.segment_prefix(), Register::FS | Register::GS)
        {
            Err(Trap::StackFault)
        } else {
            Err(Trap::GeneralProtection)
        }
    }

    /// Traps if an access is misaligned and the program has set AC. The manuals do not say whether 16 bytes at a
    /// multiple of 8 are aligned.
    pub(super) fn check_alignment(&self, address: u64, bytes: u64) -> Result<(), B::Fault> {
        if !self.registers.flag(AC) || address.is_multiple_of(bytes) {
            Ok(())
        } else if bytes == 16 && address.is_multiple_of(8) {
            self.unimplemented()
        } else {
            Err(Trap::AlignmentCheck)
        }
    }

    /// Loads from an address of the program, at any alignment.
    pub(super) fn load(&mut self, address: u64, size: Size) -> Result<u64, B::Fault> {
        self.check_canonical(address, size.bytes())?;
        self.check_alignment(address, size.bytes())?;
        memory::load(self.bus, address, size.bytes()).map(|value| value as u64)
    }

    /// Stores to an address of the program, at any alignment.
    pub(super) fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), B::Fault> {
        self.check_canonical(address, size.bytes())?;
        self.check_alignment(address, size.bytes())?;
        memory::store(self.bus, address, size.bytes(), value.into())
    }

    /// Stores 16 bytes to an address of the program, at any alignment.
    pub(super) fn store_wide(&mut self, address: u64, value: u128) -> Result<(), B::Fault> {
        self.check_canonical(address, 16)?;
        self.check_alignment(address, 16)?;
        memory::store(self.bus, address, 16, value)
    }

    /// Loads 16 bytes from an address of the program, at any alignment.
    pub(super) fn load_wide(&mut self, address: u64) -> Result<u128, B::Fault> {
        self.check_canonical(address, 16)?;
        self.check_alignment(address, 16)?;
        memory::load(self.bus, address, 16)
    }

    /// The number of an operand that is an SSE register.
    pub(super) fn xmm(&self, operand: u32) -> Result<usize, B::Fault> {
        let register = match self.instruction.op_kind(operand) {
            OpKind::Register => self.instruction.op_register(operand),
            _ => Register::None,
        };
        Registers::xmm_index(register).map_or_else(|| self.unimplemented(), Ok)
    }

    /// The value of an operand that is an SSE register or memory. 16 bytes of memory must be aligned. Fewer bytes are
    /// zero-extended.
    pub(super) fn read_xmm(&mut self, operand: u32) -> Result<u128, B::Fault> {
        if self.instruction.op_kind(operand) != OpKind::Memory {
            return self.xmm(operand).map(|index| self.registers.xmm[index]);
        }
        let address = self.address()?;
        if self.instruction.memory_size().size() == 16 {
            self.check_aligned(address)?;
            self.load_wide(address)
        } else {
            let size = self.size(operand)?;
            self.load(address, size).map(u128::from)
        }
    }

    /// Traps if an SSE operand is misaligned.
    pub(super) fn check_aligned(&self, address: u64) -> Result<(), B::Fault> {
        if address.is_multiple_of(16) { Ok(()) } else { Err(Trap::GeneralProtection) }
    }
}
