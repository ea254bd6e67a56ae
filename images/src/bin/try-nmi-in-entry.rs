//! An NMI at the first instruction of an entry into the kernel, where GS and RSP are the program's.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::arch::asm;
use kernel::cpu::block::Cpu;
use kernel::cpu::registers;
use kernel::image::Image;

kernel::image!(Image { start, describe: |cpu, out| write!(out, ", the last words of CPU {cpu}"), ..Image::DEFAULT });

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 1 {
        registers::halt()
    }
    // SAFETY: the gate's stub goes on to a report, which never returns.
    unsafe { asm!("swapgs", "mov rsp, 0x40002000", "int 2", options(noreturn)) }
}
