//! On every CPU a guest has a triple fault, which ends nothing but itself: another one runs afterwards.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, register};
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::say;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "every triple fault was an exit", fault, guest::needs_guests),
    ..Image::DEFAULT
});

vmm::guest_code!(code, "lidtw 1f - code_start + 0x7c00", "int3", "1: .word 0, 0, 0");
vmm::guest_code!(after, "movl $77, %ebx", "hlt");

fn fault(guest: &mut Guest) {
    guest.begin(code());
    assert_eq!(guest.run_on(), reason::TRIPLE_FAULT);
    guest.begin(after());
    assert_eq!((guest.run_on(), guest.get(register::EBX)), (reason::HLT, 77));
    say!("CPU {}: the guest is gone, and another has run", guest.number());
}
