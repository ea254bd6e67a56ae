//! A bug: the ready queue of a CPU loses the link from its main thread to the threads behind it. The main thread runs
//! on.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicBool, Ordering};
use kernel::cpu::block::Cpu;
use kernel::cpu::trap::Entry;
use kernel::image::Image;
use kernel::machine::fault_injection::inject;
use kernel::machine::hooks::IMAGE;
use layer::core::constants::NO_THREAD;

static DONE: AtomicBool = AtomicBool::new(false);

kernel::image!(Image { system_call, entry, ..IMAGE });

extern "C" fn system_call(cpu: &mut Cpu, number: u32) {
    lose(cpu);
    (IMAGE.system_call)(cpu, number)
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    lose(cpu);
    (IMAGE.entry)(cpu, why)
}

/// Breaks the queue once, as soon as the main thread is the first in it and not the last.
fn lose(cpu: &mut Cpu) {
    if !DONE.load(Ordering::Relaxed) {
        inject(cpu, |layer| {
            let main = layer.own.cpu + 1;
            let (ready, links) = (&mut layer.own.ready, &layer.shared.links);
            if ready.head == main && ready.tail != main && !DONE.swap(true, Ordering::Relaxed) {
                links.set_next(main, NO_THREAD);
                ready.tail = main;
            }
        });
    }
}
