//! Every CPU runs, on a stack of its own, and knows its number.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};
use kernel::exit::Reason;
use kernel::metal::cpu::{self, Cpu};
use kernel::metal::smp::arrived;
use kernel::metal::{Image, power, registers};
use kernel::say;
use kernel::stacks::{Place, Stack, place};

kernel::image!(Image { start, ..Image::DEFAULT });

static SEEN: AtomicU64 = AtomicU64::new(0);

fn start(cpu: &mut Cpu) -> ! {
    let number = cpu.number();
    let local = &raw const number;
    assert_eq!(place(local.addr() as u64), Some(Place::Inside(number, Stack::Kernel)));
    assert_eq!(cpu::number(), number);
    let before = SEEN.fetch_or(1 << number, Ordering::SeqCst);
    assert_eq!(before >> number & 1, 0, "two CPUs have number {number}");
    say!("CPU {number} runs, APIC {}", cpu.apic());
    while SEEN.load(Ordering::SeqCst) != (1 << arrived()) - 1 {
        core::hint::spin_loop();
    }
    if number == 0 {
        say!("all {} CPUs run", arrived());
        power::leave(Reason::Done)
    }
    registers::halt()
}
