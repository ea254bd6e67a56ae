//! The kernel loads from a user's page through the user's own address.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::ptr;
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
    // SAFETY: supervisor-mode access prevention forbids the load, so it does not happen.
    let value = unsafe { ptr::with_exposed_provenance::<u64>(user::DATA as usize).read_volatile() };
    panic!("no fault: {value:#x}")
}
