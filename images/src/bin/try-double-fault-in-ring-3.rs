//! A program's fault whose handler has no stack: GS is still the program's, and the report must still find the CPU.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::{lost_stack, user};
use kernel::cpu::block::Cpu;
use kernel::image::Image;

kernel::image!(Image {
    prepare: user::prepare,
    start,
    describe: |cpu, out| write!(out, ", the program of CPU {cpu}"),
    ..Image::DEFAULT
});

#[unsafe(naked)]
unsafe extern "C" fn code() {
    core::arch::naked_asm!("ud2")
}

fn start(cpu: &mut Cpu) -> ! {
    // SAFETY: the report of the program's fault is the end of this image.
    unsafe { lost_stack::lose_trap_stack(cpu) };
    user::run(cpu, code)
}
