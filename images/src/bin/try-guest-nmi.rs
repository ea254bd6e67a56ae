//! CPU 0 runs a guest that loops for ever, with interrupts off. CPU 1 sends CPU 0 an NMI while the guest runs. The NMI
//! is the host's: the kernel writes its last report.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};
use images::guest::{self, Guest, register};
use kernel::cpu::{registers, running};
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::irq::apic::LocalApic;
use kernel::irq::timer;
use kernel::say;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "no CPU gets here", share, guest::needs_guests),
    ..Image::DEFAULT
});

vmm::guest_code!(code, "cli", "1: incl %eax", "jmp 1b");

/// The guest has been in its loop.
static RUNS: AtomicBool = AtomicBool::new(false);

fn share(guest: &mut Guest) {
    match guest.number() {
        0 => run(guest),
        1 => interrupt(),
        _ => registers::halt(),
    }
}

fn run(guest: &mut Guest) {
    guest.begin(code());
    loop {
        timer::begin(0, true);
        assert_eq!(guest.run(), reason::INTERRUPT);
        if guest.get(register::EAX) > 0 && !RUNS.load(Ordering::Relaxed) {
            say!("CPU 0 runs a guest, for ever");
            RUNS.store(true, Ordering::Release);
        }
    }
}

/// Sends the NMI in the middle of a slice.
fn interrupt() {
    while !RUNS.load(Ordering::Acquire) {
        spin_loop();
    }
    let begin = registers::time_stamp();
    while registers::time_stamp() - begin < timer::slice() / 2 {
        spin_loop();
    }
    LocalApic::here().send_nmi(running::apic(0)).expect("the APIC delivers it");
    registers::halt()
}
