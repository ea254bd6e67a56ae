//! The kernel, with the one difference that programs may read the time-stamp counter.
#![no_std]
#![no_main]

use kernel::metal::cpu::Cpu;
use kernel::metal::machine::run::IMAGE;
use kernel::metal::{Image, registers};

kernel::image!(Image { start, ..IMAGE });

fn start(cpu: &mut Cpu) -> ! {
    registers::allow_time_stamps();
    (IMAGE.start)(cpu)
}
