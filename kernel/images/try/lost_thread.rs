//! A bug: the ready queue of a CPU loses the link from its main thread to those behind it. The main thread goes on.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, Ordering};
use kernel::metal::Image;
use kernel::metal::machine::run::{IMAGE, meddle};
use layer::constants::NO_THREAD;
use layer::machine::Links;

static DONE: AtomicBool = AtomicBool::new(false);

kernel::image!(Image {
    entry: |cpu, why| {
        if !DONE.load(Ordering::Relaxed) {
            meddle(cpu.number(), |layer| {
                let (ready, links) = (&mut layer.own.ready, &layer.shared.links);
                let main = cpu.number() as u32 + 1;
                if ready.head == main && ready.tail != main && !DONE.swap(true, Ordering::Relaxed) {
                    links.set_next(main, NO_THREAD);
                    ready.tail = main;
                }
            });
        }
        (IMAGE.entry)(cpu, why)
    },
    ..IMAGE
});
