//! The kernel, with the one difference that programs may read the time-stamp counter.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::cpu::block::Cpu;
use kernel::cpu::registers;
use kernel::image::Image;
use kernel::machine::hooks::IMAGE;

kernel::image!(Image { start, ..IMAGE });

fn start(cpu: &mut Cpu) -> ! {
    registers::allow_time_stamps();
    (IMAGE.start)(cpu)
}
