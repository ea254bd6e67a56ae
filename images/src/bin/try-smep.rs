//! The kernel jumps to a user's page.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::mem::transmute;
use images::user;
use kernel::cpu::block::Cpu;
use kernel::cpu::registers;
use kernel::cpu::trap::Entry;
use kernel::image::Image;

kernel::image!(Image { prepare: user::prepare, start, entry, ..Image::DEFAULT });

#[unsafe(naked)]
unsafe extern "C" fn code() {
    core::arch::naked_asm!("syscall")
}

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 0 {
        registers::halt()
    }
    user::run(cpu, code)
}

fn entry(_: &mut Cpu, _: Entry) -> ! {
    // SAFETY: supervisor-mode execution prevention forbids the fetch, so nothing of it runs.
    let run: extern "C" fn() = unsafe { transmute(user::CODE as usize) };
    run();
    panic!("no fault")
}
