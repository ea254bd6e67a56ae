//! A fault whose handler has no stack: the report is written on the double-fault stack.
#![no_std]
#![no_main]

mod lost_stack;

use core::ptr;
use kernel::cpu::block::Cpu;
use kernel::image::Image;

kernel::image!(Image { start, ..Image::DEFAULT });

fn start(cpu: &mut Cpu) -> ! {
    // SAFETY: the report of the fault is the end of this image.
    unsafe {
        lost_stack::lose_trap_stack(cpu);
        ptr::null::<u64>().read_volatile();
    }
    panic!("no fault")
}
