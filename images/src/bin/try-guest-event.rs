//! On every CPU a guest takes injected interrupts: directly behind STI and HLT; when it turns interrupts on, which the
//! host waits for; and although the table of its handlers is not in memory at first.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, START, register};
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::say;
use layer::core::constants::FL_IF;
use layer::objects::vmx::*;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "every event was seen", inject, guest::needs_guests),
    ..Image::DEFAULT
});

vmm::guest_code!(
    code,
    "sti",
    "hlt",
    "cli", // the handler has run once
    "cpuid",
    "xorw %cx, %cx",
    "1: incw %cx",
    "cmpw $5000, %cx",
    "jne 1b",
    "sti",
    "nop",
    "nop", // and twice
    "2: hlt",
    "jmp 2b",
    ".balign 64",
    "incw %bx",
    "iretw",
);

/// The vector, and the address of its handler: the first multiple of 64 behind the code.
const VECTOR: u32 = 0x21;
const HANDLER: u16 = START as u16 + 64;

fn inject(guest: &mut Guest) {
    guest.begin(code());
    assert_eq!(guest.run_on(), reason::HLT, "the first instruction");
    assert_eq!(vmx_check_int_shadow(guest.cpu), Ok(1), "it is directly behind STI");
    assert_eq!(vmx_check_pending_event(guest.cpu), Ok(0));
    vmx_inject_event(guest.cpu, 0, VECTOR, 0, 0).expect("after `vmx_init`");
    assert_eq!(vmx_check_pending_event(guest.cpu), Ok(1));
    guest.skip();

    // The handler's address is at address 0x84, in a page that is not there.
    assert_eq!((guest.run_on(), vmx_get_exit_fault_addr(guest.cpu)), (reason::NESTED_FAULT, Ok(4 * VECTOR)));
    assert_eq!(vmx_check_pending_event(guest.cpu), Ok(1), "the event was not delivered");
    let table = guest.map(0);
    guest.cpu.own.hp.0.write(table, 4 * VECTOR as usize, &HANDLER.to_le_bytes());

    assert_eq!(guest.run_on(), reason::CPUID);
    assert_eq!((guest.get(register::EBX), vmx_check_pending_event(guest.cpu)), (1, Ok(0)), "it was delivered once");

    // The guest has turned interrupts off; the host waits until it turns them on.
    assert_eq!(guest.get(register::EFLAGS) & FL_IF, 0);
    vmx_set_intercept_intwin(guest.cpu, 1).expect("after `vmx_init`");
    guest.skip();
    assert_eq!(guest.run_on(), reason::INTERRUPT_WINDOW);
    assert_eq!((guest.get(register::ECX) & 0xffff, guest.get(register::EFLAGS) & FL_IF), (5000, FL_IF));
    assert_eq!(vmx_check_int_shadow(guest.cpu), Ok(0), "not directly behind STI");
    vmx_set_intercept_intwin(guest.cpu, 0).expect("after `vmx_init`");
    vmx_inject_event(guest.cpu, 0, VECTOR, 0, 0).expect("after `vmx_init`");
    assert_eq!(guest.run_on(), reason::HLT);
    assert_eq!((guest.get(register::EBX), vmx_check_pending_event(guest.cpu)), (2, Ok(0)));
    say!("CPU {}: the guest has handled {} interrupts", guest.number(), guest.get(register::EBX));
}
