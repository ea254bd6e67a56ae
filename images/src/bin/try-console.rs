//! All CPUs write at once; the command line checks that every line is whole.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering};
use kernel::cpu::block::Cpu;
use kernel::cpu::registers;
use kernel::cpu::running::arrived;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::image::Image;
use kernel::say;

kernel::image!(Image { start, ..Image::DEFAULT });

static DONE: AtomicUsize = AtomicUsize::new(0);

fn start(cpu: &mut Cpu) -> ! {
    let number = cpu.number();
    for line in 0..50 {
        say!("<CPU {number} line {line:02} abcdefghijklmnopqrstuvwxyz {number}>");
    }
    if DONE.fetch_add(1, Ordering::SeqCst) + 1 == arrived() {
        power::leave(Reason::Done)
    }
    registers::halt()
}
