//! All CPUs panic at the same moment: one of them reports.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering};
use kernel::cpu::block::Cpu;
use kernel::cpu::running::arrived;
use kernel::image::Image;

kernel::image!(Image { start, ..Image::DEFAULT });

static READY: AtomicUsize = AtomicUsize::new(0);

fn start(cpu: &mut Cpu) -> ! {
    READY.fetch_add(1, Ordering::SeqCst);
    while READY.load(Ordering::SeqCst) < arrived() {
        core::hint::spin_loop();
    }
    panic!("all together, says CPU {}", cpu.number())
}
