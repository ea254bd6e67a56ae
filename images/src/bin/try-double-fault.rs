//! A fault whose handler has no stack: the report is written on the double-fault stack.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::ptr;
use images::lost_stack;
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
