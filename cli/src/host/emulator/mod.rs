//! Runs an image on an emulated PC.
//!
//! In the order to read it: [`machine`] is the machine and the result of its run, `process` is the emulator's process,
//! and [`qemu`] and [`bochs`] are the emulators.

pub mod bochs;
pub mod keyboard;
pub mod machine;
pub mod process;
pub mod qemu;

use crate::host::error::Error;
use crate::host::tools;
use machine::{Ended, Run};
use std::fmt;

/// An emulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emulator {
    /// QEMU: fast, and boots the image itself.
    Qemu,
    /// Bochs: exact and slow; every run gives the same result, and GRUB boots the image.
    Bochs,
}

impl Emulator {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Emulator::Qemu => "QEMU",
            Emulator::Bochs => "Bochs",
        }
    }

    /// Whether all programs that it needs are installed.
    pub fn is_there(self) -> bool {
        let programs: &[&str] = match self {
            Emulator::Qemu => &[tools::QEMU],
            Emulator::Bochs => &[tools::BOCHS, tools::GRUB_IMAGE, tools::XORRISO, tools::MTOOLS],
        };
        programs.iter().all(|program| tools::find(program).is_some())
    }

    /// Runs the machine to its end.
    pub fn run(self, run: &Run) -> Result<Ended, Error> {
        match self {
            Emulator::Qemu => qemu::run(run),
            Emulator::Bochs => bochs::run(run),
        }
    }
}

impl fmt::Display for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
