//! The selectors in the segment registers.
use iced_x86::Register;

/// The selectors of a program's code and data, as in `kernel/src/cpu/descriptors.rs`. The layer's constants are those
/// of the reference, which has another code segment.
pub(super) const USER_CODE: u16 = 0x28 | 3;
pub(super) const USER_DATA: u16 = 0x20 | 3;

/// The selectors in the segment registers that a program can change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segments {
    /// ES, DS, FS, GS. All bases are 0.
    pub(super) data: [u16; 4],
}

impl Default for Segments {
    /// The selectors at the start of a program, and after another program has run on its CPU.
    fn default() -> Self {
        Segments { data: [USER_DATA; 4] }
    }
}

impl Segments {
    /// The index of a register's selector.
    pub(super) fn place(register: Register) -> Option<usize> {
        [Register::ES, Register::DS, Register::FS, Register::GS].iter().position(|&each| each == register)
    }

    /// The selector in a segment register.
    pub(super) fn get(&self, register: Register) -> Option<u16> {
        match register {
            Register::CS => Some(USER_CODE),
            Register::SS => Some(USER_DATA),
            _ => Segments::place(register).map(|place| self.data[place]),
        }
    }
}
