//! A processor without virtualisation: the kernel says what is missing, the layer's primitives work on memory, and no
//! guest runs.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, register};
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::guest::exit::REFUSED;
use kernel::guest::virtualisation::Missing;
use kernel::image::Image;
use kernel::say;
use layer::objects::vmx::vmxinfo_get;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "no guest runs", unexpected, refuse),
    ..Image::DEFAULT
});

fn unexpected(guest: &mut Guest) {
    say!("CPU {} runs guests", guest.number());
    power::leave(Reason::Failed)
}

fn refuse(guest: &mut Guest, missing: Missing) {
    assert!((0..16).all(|index| vmxinfo_get(guest.cpu, index) == Ok(0)), "no capabilities");
    guest.begin(&[0xF4]);
    guest.set(register::EBX, 7);
    assert_eq!(guest.run(), REFUSED & 0xffff);
    assert_eq!(guest.get(register::EBX), 7);
    say!("CPU {} runs no guests: {missing}", guest.number());
}
