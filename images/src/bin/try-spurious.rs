//! Spurious interrupts are counted and have no other effect; this includes the APIC's own spurious vector. An
//! interrupt that comes while the CPU works waits until the CPU halts.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::cpu::block::Cpu;
use kernel::cpu::vectors;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::stubs;
use kernel::image::Image;
use kernel::irq::apic::LocalApic;
use kernel::irq::interrupt;
use kernel::say;

kernel::image!(Image { start, ..Image::DEFAULT });

fn start(cpu: &mut Cpu) -> ! {
    let apic = LocalApic::here();
    for vector in [vectors::FIRST_LINE, vectors::TIMER - 1, vectors::SPURIOUS] {
        let before = interrupt::spurious();
        apic.send(cpu.apic(), vector).expect("the APIC delivers it");
        for _ in 0..1000 {
            assert_eq!(interrupt::spurious(), before, "no interrupt comes while the CPU works");
        }
        stubs::wait_for_interrupt();
        assert_eq!(interrupt::spurious(), before + 1, "vector {vector} was counted");
    }
    say!("{} interrupts that nobody asked for", interrupt::spurious());
    power::leave(Reason::Done)
}
