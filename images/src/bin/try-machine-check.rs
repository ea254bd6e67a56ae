//! A machine check at the first instruction of an entry into the kernel, while another CPU halts. GS is the
//! program's, and there is no usable stack; but machine checks have a stack of their own.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::arch::asm;
use kernel::cpu::block::Cpu;
use kernel::entry::stubs;
use kernel::image::Image;

kernel::image!(Image {
    start,
    describe: |cpu, out| write!(out, "{}", if cpu == 0 { ", which has lost its stack" } else { "" }),
    ..Image::DEFAULT
});

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() == 0 {
        // SAFETY: the gate's stub goes on to a report, which never returns.
        unsafe { asm!("swapgs", "xor esp, esp", "int 18", options(noreturn)) }
    }
    loop {
        stubs::wait_for_interrupt();
    }
}
