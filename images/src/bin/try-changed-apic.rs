//! A bug: something changes a CPU's local APIC behind the layer's back. The programs do not notice it; the program that
//! watches the kernel must find it.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::cpu::block::Cpu;
use kernel::image::Image;
use kernel::machine::hooks::IMAGE;
use kernel::mm::direct_map::direct;
use x86_64::registers::model_specific::Msr;

/// `IA32_APIC_BASE`, with the address of the registers in the bits of [`ADDRESS`].
const APIC_BASE: u32 = 0x1B;
const ADDRESS: u64 = 0xffff_f000;
/// The registers, and what they get: the vector of spurious interrupts, with the bit that enables the APIC, and a task
/// priority that holds back no interrupt.
const CHANGES: [(u64, u32); 2] = [(0xF0, 0x12F), (0x80, 0x10)];

kernel::image!(Image { start, ..IMAGE });

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() == 1 {
        // SAFETY: every processor with an APIC has this register, and reading it has no effect. The direct map covers
        // the APIC's page, and no interrupt of the kernel depends on the two registers.
        unsafe {
            let registers = Msr::new(APIC_BASE).read() & ADDRESS;
            CHANGES.iter().for_each(|&(register, value)| direct::<u32>(registers + register).write_volatile(value));
        }
    }
    (IMAGE.start)(cpu)
}
