//! On every CPU a guest in real mode prints a text, one character with each exit, and halts.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, START, register};
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::say;
use layer::objects::vmx::*;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "every guest has printed its text and halted", print, guest::needs_guests),
    ..Image::DEFAULT
});

vmm::guest_code!(
    code,
    "movw $0x3f8, %dx",
    "movw $(3f - code_start + 0x7c00), %si",
    "1: lodsb",
    "testb %al, %al",
    "jz 2f",
    "outb %al, %dx",
    "jmp 1b",
    "2: hlt",
    "jmp 2b",
    "3: .asciz \"real mode speaks\"",
);

const PORT: u32 = 0x3F8;

fn print(guest: &mut Guest) {
    guest.begin(code());
    let mut text = [0; 64];
    let mut length = 0;
    loop {
        match guest.run_on() {
            reason::IO => {
                let cpu = &*guest.cpu;
                let io = [vmx_get_exit_io_port(cpu), vmx_get_io_width(cpu), vmx_get_io_write(cpu)];
                assert_eq!(io, [Ok(PORT), Ok(0), Ok(1)]);
                assert_eq!([vmx_get_exit_io_rep(cpu), vmx_get_exit_io_str(cpu)], [Ok(0), Ok(0)]);
                text[length] = guest.get(register::EAX) as u8;
                length += 1;
                guest.skip();
            }
            reason::HLT => break,
            other => panic!("the guest has exited for reason {other} at {:#x}", guest.get(register::EIP)),
        }
    }
    assert!(guest.get(register::EIP) > START && guest.get(register::EDX) == PORT);
    let text = core::str::from_utf8(&text[..length]).expect("the guest prints ASCII");
    say!("CPU {}: the guest has printed \"{text}\" and halted", guest.number());
}
