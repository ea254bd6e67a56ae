//! The registers of a program.

use super::selectors::Segments;
use iced_x86::Register;

/// MXCSR at a program's start: all exceptions masked, round to nearest.
pub const INITIAL_MXCSR: u32 = 0x1F80;

/// Bits of RFLAGS that a program sees.
pub mod rflags {
    /// Carry.
    pub const CF: u64 = 1;
    /// Always one.
    pub const ONE: u64 = 1 << 1;
    /// Parity of the low byte.
    pub const PF: u64 = 1 << 2;
    /// Carry out of the low four bits.
    pub const AF: u64 = 1 << 4;
    /// Zero.
    pub const ZF: u64 = 1 << 6;
    /// Sign.
    pub const SF: u64 = 1 << 7;
    /// Trap after each instruction.
    pub const TF: u64 = 1 << 8;
    /// Interrupts enabled; a program cannot change it.
    pub const IF: u64 = 1 << 9;
    /// String instructions go downwards.
    pub const DF: u64 = 1 << 10;
    /// Signed overflow.
    pub const OF: u64 = 1 << 11;
    /// Nested task: without effect in 64-bit mode, but a program can change it.
    pub const NT: u64 = 1 << 14;
    /// Resume flag, which `pushf` and `syscall` store as zero.
    pub const RF: u64 = 1 << 16;
    /// Alignment check: a misaligned access traps, since the kernel has set CR0.AM.
    pub const AC: u64 = 1 << 18;
    /// Programs test whether they can change it to find out whether `cpuid` exists.
    pub const ID: u64 = 1 << 21;
    /// The flags that describe a result.
    pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;
    /// The flags that `popf` can change in user mode.
    pub const POPPED: u64 = STATUS | TF | DF | NT | AC | ID;
}

/// A general register, by its number in instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
#[expect(missing_docs, reason = "their names say all")]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

/// The registers of a processor that a program sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    /// General registers, by [`Gpr`].
    pub gpr: [u64; 16],
    /// Address of the next instruction.
    pub rip: u64,
    /// Flags, with the bits of [`rflags`].
    pub rflags: u64,
    /// Selectors.
    pub segments: Segments,
    /// SSE registers; lane 0 in the low bits.
    pub xmm: [u128; 16],
    /// SSE control and status.
    pub mxcsr: u32,
    /// Whether arithmetic was done without computing its exception flags. Until MXCSR is loaded again, its flags cannot
    /// be read.
    pub mxcsr_flags_unknown: bool,
}

impl Default for Registers {
    /// All registers are 0, except those with a fixed value at the start of a program: RFLAGS and MXCSR.
    fn default() -> Self {
        Registers {
            gpr: [0; 16],
            rip: 0,
            rflags: rflags::IF | rflags::ONE,
            segments: Segments::default(),
            xmm: [0; 16],
            mxcsr: INITIAL_MXCSR,
            mxcsr_flags_unknown: false,
        }
    }
}

impl core::ops::Index<Gpr> for Registers {
    type Output = u64;

    fn index(&self, register: Gpr) -> &u64 {
        &self.gpr[register as usize]
    }
}

impl core::ops::IndexMut<Gpr> for Registers {
    fn index_mut(&mut self, register: Gpr) -> &mut u64 {
        &mut self.gpr[register as usize]
    }
}

impl Registers {
    /// Whether a flag is set.
    pub fn flag(&self, flag: u64) -> bool {
        self.rflags & flag != 0
    }

    /// Replaces the flags in `mask` by those in `flags`.
    pub(super) fn set_flags(&mut self, mask: u64, flags: u64) {
        self.rflags = self.rflags & !mask | flags & mask;
    }

    /// Value of a general register or a part of one; `None` for any other register.
    pub(super) fn read(&self, register: Register) -> Option<u64> {
        let (index, part) = locate(register)?;
        Some((self.gpr[index] >> part.shift) & part.mask)
    }

    /// Changes a general register or a part of one, as instructions do: 32 bits clear the upper half, 8 and 16 bits
    /// leave the rest unchanged. For any other register nothing changes, and the result is `None`.
    pub(super) fn write(&mut self, register: Register, value: u64) -> Option<()> {
        let (index, part) = locate(register)?;
        let kept = match part.mask {
            0xFF | 0xFFFF => self.gpr[index] & !(part.mask << part.shift),
            _ => 0,
        };
        self.gpr[index] = kept | (value & part.mask) << part.shift;
        Some(())
    }

    /// The number of an SSE register. `None` for any other register.
    pub(super) fn xmm_index(register: Register) -> Option<usize> {
        register.is_xmm().then(|| register.number())
    }
}

/// The position of a part in its 64-bit register.
#[derive(Clone, Copy)]
struct Part {
    shift: u32,
    mask: u64,
}

/// The general register that `register` is a part of, and the part.
fn locate(register: Register) -> Option<(usize, Part)> {
    const FIRST: [(Register, u64); 4] =
        [(Register::RAX, u64::MAX), (Register::EAX, 0xFFFF_FFFF), (Register::AX, 0xFFFF), (Register::AL, 0xFF)];
    let number = register as usize;
    if (Register::AH..=Register::BH).contains(&register) {
        return Some((number - Register::AH as usize, Part { shift: 8, mask: 0xFF }));
    }
    if (Register::SPL..=Register::R15L).contains(&register) {
        return Some((number - Register::SPL as usize + 4, Part { shift: 0, mask: 0xFF }));
    }
    FIRST.iter().find_map(|&(first, mask)| {
        let index = number.checked_sub(first as usize)?;
        (index < 16).then_some((index, Part { shift: 0, mask }))
    })
}

#[cfg(test)]
mod tests {
    use super::Registers;
    use iced_x86::Register;

    #[test]
    fn every_part_of_every_general_register_is_found() {
        for register in Register::values().filter(|register| register.is_gpr()) {
            let mut registers = Registers::default();
            for (index, value) in registers.gpr.iter_mut().enumerate() {
                *value = 0x1111_1111_1111_1111 * index as u64;
            }
            let full = register.full_register().number();
            let high = (Register::AH..=Register::BH).contains(&register);
            let before = registers.gpr[full];
            let (bits, shift) = (8 * register.size() as u32, if high { 8 } else { 0 });
            let mask = u64::MAX >> (64 - bits);
            assert_eq!(registers.read(register), Some(before >> shift & mask), "{register:?}");
            registers.write(register, !before >> shift).unwrap();
            let kept = if bits == 32 { 0 } else { before & !(mask << shift) };
            assert_eq!(registers.gpr[full], kept | !before & mask << shift, "{register:?}");
        }
    }

    #[test]
    fn other_registers_are_not_general() {
        let others = Register::values().filter(|register| !register.is_gpr());
        for register in others {
            assert_eq!(Registers::default().read(register), None, "{register:?}");
        }
    }
}
