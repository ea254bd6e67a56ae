//! On every CPU a guest loops for ever, with interrupts off. The end of the time slice takes the CPU from it, and the
//! host has handled the interrupt before it goes on.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, START, register};
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::irq::interrupt;
use kernel::irq::timer;
use kernel::say;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "every slice has ended", outlast, guest::needs_guests),
    ..Image::DEFAULT
});

vmm::guest_code!(code, "cli", "1: incl %eax", "jmp 1b");

/// In how many slices each guest runs. On a busy host a slice may end before the guest has begun; such a slice does not
/// count.
const SLICES: u32 = 5;

fn outlast(guest: &mut Guest) {
    guest.begin(code());
    let (mut slices, mut counted) = (0, 0);
    while slices < SLICES {
        timer::begin(guest.number() as usize, true);
        assert_eq!(guest.run(), reason::INTERRUPT);
        let count = guest.get(register::EAX);
        if count != counted {
            assert!((START + 1..START + 6).contains(&guest.get(register::EIP)), "it is in its loop");
            slices += 1;
        }
        counted = count;
    }
    assert_eq!(interrupt::spurious(), 0);
    say!("CPU {}: {slices} slices have ended", guest.number());
}
