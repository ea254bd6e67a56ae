//! The kernel.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use kernel::exit::Reason;
use kernel::metal::boot::Boot;
use kernel::metal::cpu::Cpu;
use kernel::metal::entry::Entry;
use kernel::metal::{Image, power, registers};

kernel::image!(Image {
    prepare,
    start,
    entry,
    describe
});

fn prepare(_: &mut Boot) {}

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() == 0 {
        power::leave(Reason::Done)
    }
    registers::halt()
}

fn entry(_: &mut Cpu, why: Entry) -> ! {
    panic!("nothing runs in ring 3, yet it entered the kernel: {why:?}")
}

fn describe(_: usize, _: &mut dyn Write) -> fmt::Result {
    Ok(())
}
