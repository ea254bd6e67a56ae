//! CPU 5 panics while all others write to the console.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::cpu::block::Cpu;
use kernel::image::Image;
use kernel::say;

kernel::image!(Image { start, ..Image::DEFAULT });

/// Lines that CPU 5 writes before it panics.
const LINES: usize = 20;

fn start(cpu: &mut Cpu) -> ! {
    let number = cpu.number();
    let mut line = 0;
    loop {
        say!("CPU {number} writes line {line:06}, which is long enough to be interrupted");
        line += 1;
        assert!(number != 5 || line < LINES, "CPU {number} has had enough");
    }
}
