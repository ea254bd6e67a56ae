//! On every CPU a guest touches memory that it does not have. Each exit says which address and which access; once the
//! page is there, the guest goes on. A page that is replaced by another is replaced for the guest, too.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, register};
use kernel::guest::exit::{nested, reason};
use kernel::image::Image;
use kernel::say;
use layer::objects::vmx::*;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "every access has its page", fault, guest::needs_guests),
    ..Image::DEFAULT
});

vmm::guest_code!(
    code,
    "movw $0xffff, %ax",
    "movw %ax, %fs", // its base is 0xffff0
    "movl 0x9008, %ebx",
    "movl $0xcafe, 0xa123",
    "movl %fs:0x10, %ecx", // 1 MiB
    "1: hlt",
    "movl 0x9008, %ebx",
    "jmp 1b",
);

/// The accesses that fault, and the kind of each.
const FAULTS: [(u32, u64); 3] = [(0x9008, nested::READ), (0xA123, nested::WRITE), (0x10_0000, nested::READ)];
const PAGE: u32 = 4096;

fn fault(guest: &mut Guest) {
    guest.begin(code());
    let mut pages = [0; 3];
    for ((address, access), page) in FAULTS.into_iter().zip(&mut pages) {
        // A page fault before the page is there may come again: the address is the same.
        let reason = guest.run_on();
        assert_eq!((reason, vmx_get_exit_fault_addr(guest.cpu)), (reason::NESTED_FAULT, Ok(address)));
        let kind = nested::READ | nested::WRITE | nested::FETCH;
        assert_eq!(u64::from(guest.qualification()) & (kind | nested::RIGHTS), access, "{address:#x}");
        *page = guest.map(address / PAGE * PAGE);
        let value = 0x5A00_0000 + guest.number();
        if access == nested::READ {
            guest.cpu.own.hp.0.write(*page, (address % PAGE) as usize, &value.to_le_bytes());
        }
    }
    let expected = 0x5A00_0000 + guest.number();
    assert_eq!(guest.run_on(), reason::HLT);
    assert_eq!([register::EBX, register::ECX].map(|r| guest.get(r)), [expected; 2]);
    assert_eq!(guest.cpu.own.hp.0.bytes(pages[1], 0x123..0x127), 0xCAFEu32.to_le_bytes());

    // Another page at an address that the guest has used, whose translation the processor may have kept.
    let other = guest.map(0x9000);
    guest.cpu.own.hp.0.write(other, 8, &0x1234_5678u32.to_le_bytes());
    guest.skip();
    assert_eq!(guest.run_on(), reason::HLT);
    assert_eq!(guest.get(register::EBX), 0x1234_5678);

    // A new virtual machine has none of these pages, and its registers begin anew.
    guest.begin(&code()[5..]);
    assert_eq!((guest.run_on(), vmx_get_exit_fault_addr(guest.cpu)), (reason::NESTED_FAULT, Ok(FAULTS[0].0)));
    assert_eq!(guest.get(register::EBX), 0);
    say!("CPU {}: {} faults at the right addresses, and one page replaced", guest.number(), FAULTS.len());
}
