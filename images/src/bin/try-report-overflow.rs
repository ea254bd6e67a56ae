//! A stack that overflows while a report is written on it. The number of CPUs selects the stack: one CPU means the
//! kernel stack, and each further CPU the next stack of a fatal entry into the kernel.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::arch::asm;
use core::hint::black_box;
use core::ptr;
use images::lost_stack;
use kernel::cpu::block::Cpu;
use kernel::cpu::registers;
use kernel::cpu::running::arrived;
use kernel::image::Image;
use kernel::mm::stacks::Stack;

kernel::image!(Image {
    start,
    describe: |_, _| {
        deeper(1);
        Ok(())
    },
    ..Image::DEFAULT
});

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 0 {
        registers::halt()
    }
    // SAFETY: each ends in a report, which never returns; so does the kernel stack's case, a panic.
    unsafe {
        match Stack::ALL[arrived() - 1] {
            Stack::Kernel => {}
            Stack::DoubleFault => {
                lost_stack::lose_trap_stack(cpu);
                ptr::null::<u64>().read_volatile();
            }
            Stack::Nmi => asm!("int 2"),
            Stack::MachineCheck => asm!("int 18"),
            Stack::Trap => asm!("ud2"),
        }
    }
    panic!("on the kernel stack")
}

#[expect(unconditional_recursion, reason = "this is the point")]
fn deeper(depth: u64) -> u64 {
    let here = black_box([depth; 16]);
    deeper(depth + 1) + here[3]
}
