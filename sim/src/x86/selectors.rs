//! The selectors in the segment registers.
use iced_x86::Register;
use layer::core::constants;
use layer::core::geometry::{Geometry, X64};

/// The selectors of a program's code and data.
pub(super) const USER_CODE: u16 = X64::USER_CODE as u16;
pub(super) const USER_DATA: u16 = constants::USER_DATA as u16;

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
