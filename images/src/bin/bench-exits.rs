//! Measures an exit of a guest that the kernel itself answers: the primitives alone, without a monitor and without system
//! calls.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, register};
use kernel::cpu::registers::time_stamp;
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::say;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "measured", measure, guest::needs_guests),
    ..Image::DEFAULT
});

/// Number of measurements.
const SAMPLES: usize = 200;

vmm::guest_code!(code, "1: cpuid", "jmp 1b");

fn measure(guest: &mut Guest) {
    let before = time_stamp();
    say!("bench: overhead {} 1", time_stamp() - before);
    guest.begin(code());
    assert_eq!(guest.run_on(), reason::CPUID);
    let mut samples = [0; SAMPLES];
    for sample in &mut samples {
        let before = time_stamp();
        let leaf = guest.get(register::EAX);
        for to in [register::EAX, register::EBX, register::ECX, register::EDX] {
            guest.set(to, leaf);
        }
        guest.skip();
        assert_eq!(guest.run_on(), reason::CPUID);
        *sample = time_stamp() - before;
    }
    samples.iter().for_each(|ticks| say!("bench: vm_exit_cpuid_kernel {ticks} 1"));
}
