//! CPU 0 hangs in ring 3, the others in the kernel. Only an NMI ends that.
#![no_std]
#![no_main]

#[path = "user.rs"]
mod user;

use kernel::metal::Image;
use kernel::metal::cpu::Cpu;

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

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 0 {
        spin()
    }
    kernel::say!("CPU 0 goes to ring 3, for ever");
    user::run(cpu, code)
}

#[inline(never)]
fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
