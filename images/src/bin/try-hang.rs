//! CPU 0 hangs in ring 3, the others in the kernel. Only an NMI ends that.
//!
//! The last CPU waits until the program of CPU 0 has stored a byte and all other CPUs spin. Then it prints a line. When the
//! line appears, CPU 0 is in ring 3.
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
    core::arch::naked_asm!("mov byte ptr [{data}], 1", "2: jmp 2b", data = const user::DATA)
}

/// CPUs that hang in the kernel.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() == 0 {
        user::run(cpu, code)
    }
    if cpu.number() + 1 == arrived() {
        while !user::has_stored() || SPINNING.load(Ordering::Acquire) + 2 < arrived() {
            core::hint::spin_loop();
        }
        kernel::say!("CPU 0 is in ring 3, for ever");
    }
    spin()
}

#[inline(never)]
fn spin() -> ! {
    SPINNING.fetch_add(1, Ordering::Release);
    loop {
        core::hint::spin_loop();
    }
}
