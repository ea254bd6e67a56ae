//! Every CPU runs on a stack of its own, and knows its number.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};
use kernel::cpu::block::{self, Cpu};
use kernel::cpu::registers;
use kernel::cpu::running::arrived;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::image::Image;
use kernel::mm::stacks::{Place, Stack, place};
use kernel::say;

kernel::image!(Image { start, ..Image::DEFAULT });

static SEEN: AtomicU64 = AtomicU64::new(0);

fn start(cpu: &mut Cpu) -> ! {
    let number = cpu.number();
    let local = &raw const number;
    assert_eq!(place(local.addr() as u64), Some(Place::Inside(number, Stack::Kernel)));
    assert_eq!(block::number(), number);
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
