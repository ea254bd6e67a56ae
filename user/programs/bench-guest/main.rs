//! Measures what exits of a guest cost its monitor.
#![no_std]
#![no_main]

use abi::Error;
use user::bench::{SAMPLES, nothing, print, ticks};
use user::program;
use user::vm::{Console, Vm};
use vmm::exit::Reason;
use vmm::guest_code;

program!(main);

/// Pages of the guest's memory: a mebibyte, all that real mode reaches.
const MEMORY: u32 = 256;
const START: u16 = 0x7C00;

guest_code!(cpuid, "1: xorl %eax, %eax", "cpuid", "jmp 1b");
guest_code!(out, "movw $0x3f8, %dx", "1: outb %al, %dx", "jmp 1b");
// It stores to one page after the other, from 64 KiB on.
guest_code!(pages, "movw $0x1000, %ax", "1: movw %ax, %ds", "movb $1, 0", "addw $0x100, %ax", "jmp 1b");

/// A console that nobody reads.
struct Nobody;

impl Console for Nobody {
    fn write(&mut self, _: u8) {}
}

fn main() -> Result<(), Error> {
    let mut vm = Vm::new(MEMORY)?;
    print("overhead", core::iter::repeat_n(nothing().ticks(), SAMPLES));
    let mut samples = [0; SAMPLES];

    // The guest exits at the same instruction again and again.
    begin(&mut vm, cpuid())?;
    vm.step(&mut Nobody)?;
    while vm.guest().run()? != Reason::CPUID {}
    for sample in &mut samples {
        *sample = ticks(|| vm.guest().run().map(drop))?;
    }
    print("vm_run", samples.into_iter());

    for (name, code) in [("vm_exit_cpuid_user", cpuid()), ("vm_exit_io", out()), ("vm_exit_ept", pages())] {
        begin(&mut vm, code)?;
        vm.step(&mut Nobody)?;
        for sample in &mut samples {
            *sample = ticks(|| vm.step(&mut Nobody).map(drop))?;
        }
        print(name, samples.into_iter());
    }
    Ok(())
}

fn begin(vm: &mut Vm, code: &[u8]) -> Result<(), Error> {
    vm.memory()[START.into()..][..code.len()].copy_from_slice(code);
    vm.start_in_real_mode(START)
}
