//! CPU 0 hangs in ring 3, the others in the kernel. Only an NMI ends that.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering};
use images::user;
use kernel::cpu::block::Cpu;
use kernel::cpu::running::arrived;
use kernel::image::Image;

kernel::image!(Image {
    prepare: user::prepare,
    start,
    describe: |cpu, out| write!(out, ", the program of CPU {cpu}"),
    ..Image::DEFAULT
});

#[unsafe(naked)]
unsafe extern "C" fn code() {
    core::arch::naked_asm!("2: jmp 2b")
}

/// CPUs that hang in the kernel.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 0 {
        spin()
    }
    // When the test reads the next line, it may assume that the other CPUs hang already.
    while SPINNING.load(Ordering::Acquire) + 1 < arrived() {
        core::hint::spin_loop();
    }
    kernel::say!("CPU 0 goes to ring 3, for ever");
    user::run(cpu, code)
}

#[inline(never)]
fn spin() -> ! {
    SPINNING.fetch_add(1, Ordering::Release);
    loop {
        core::hint::spin_loop();
    }
}
