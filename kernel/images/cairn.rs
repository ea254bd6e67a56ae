//! The kernel.
#![no_std]
#![no_main]

use kernel::exit::Reason;
use kernel::metal::cpu::Cpu;
use kernel::metal::{Image, power, registers};

kernel::image!(Image { start, ..Image::DEFAULT });

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() == 0 {
        power::leave(Reason::Done)
    }
    registers::halt()
}
