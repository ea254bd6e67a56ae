//! Measures what exits of a guest cost its monitor.
#![no_std]
#![no_main]

use abi::{Error, PAGE_SIZE};
use user::bench::{SAMPLES, print, ticks};
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
// A byte that it sends makes its serial line ask for an interrupt, while interrupts are off. They are on when the guest
// halts. The handler's only exit is its output to the interrupt controller.
guest_code!(
    halting,
    "movw $(2f - halting_start + 0x7c00), 12 * 4",
    "movw $0, 12 * 4 + 2",
    // The interrupt controller: the vectors begin at 8; only line 4 is open.
    "movb $0x11, %al",
    "outb %al, $0x20",
    "movb $8, %al",
    "outb %al, $0x21",
    "movb $4, %al",
    "outb %al, $0x21",
    "movb $1, %al",
    "outb %al, $0x21",
    "movb $0xef, %al",
    "outb %al, $0x21",
    // The serial line asks when it has sent a byte.
    "movw $0x3f9, %dx",
    "movb $2, %al",
    "outb %al, %dx",
    "movw $0x3f8, %dx",
    "1: cli",
    "outb %al, %dx",
    "sti",
    "hlt",
    "jmp 1b",
    "2: movb $0x20, %al",
    "outb %al, $0x20",
    "iretw",
);

/// A console that nobody reads.
struct Nobody;

impl Console for Nobody {
    fn write(&mut self, _: u8) {}
}

fn main() -> Result<(), Error> {
    let mut vm = Vm::new(MEMORY)?;
    print("overhead", core::iter::repeat_n(ticks(|| Ok(()))?, SAMPLES));
    let mut samples = [0; SAMPLES];

    // From the reset state to the first exit of the guest. The first time, pages are mapped as well.
    begin(&mut vm, cpuid())?;
    vm.step(&mut Nobody)?;
    for sample in &mut samples {
        *sample = ticks(|| {
            begin(&mut vm, cpuid())?;
            vm.step(&mut Nobody).map(drop)
        })?;
    }
    print("vm_start", samples.into_iter());

    // The guest exits at the same instruction again and again.
    while vm.guest().run()?.0 != Reason::CPUID {}
    for sample in &mut samples {
        *sample = ticks(|| vm.guest().run().map(drop))?;
    }
    print("vm_run", samples.into_iter());

    // All of the guest's memory is there, so that an exit maps a page and reserves none.
    vm.memory().iter_mut().step_by(PAGE_SIZE as usize).for_each(|byte| *byte = 1);
    for (name, code) in [("vm_exit_cpuid_user", cpuid()), ("vm_exit_io", out()), ("vm_exit_ept", pages())] {
        begin(&mut vm, code)?;
        vm.step(&mut Nobody)?;
        for sample in &mut samples {
            *sample = ticks(|| vm.step(&mut Nobody).map(drop))?;
        }
        print(name, samples.into_iter());
    }

    // The exits are the output of the byte, the HLT, and the handler's output, in turn.
    begin(&mut vm, halting())?;
    let (mut halts, mut injections) = ([0; SAMPLES], [0; SAMPLES]);
    for (halt, injection) in halts.iter_mut().zip(&mut injections) {
        let before = vm.exits().of(Reason::HLT);
        while vm.exits().of(Reason::HLT) == before {
            *halt = ticks(|| vm.step(&mut Nobody).map(drop))?;
        }
        *injection = ticks(|| vm.step(&mut Nobody).map(drop))?;
    }
    print("vm_exit_hlt", halts.into_iter());
    print("vm_inject", injections.into_iter());
    Ok(())
}

fn begin(vm: &mut Vm, code: &[u8]) -> Result<(), Error> {
    vm.memory()[START.into()..][..code.len()].copy_from_slice(code);
    vm.start_in_real_mode(START)
}
