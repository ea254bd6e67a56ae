//! On every CPU a guest executes CPUID in a loop. Each exit gets the leaf that the guest asks for, and the guest gets the
//! answer in four registers; all other registers, floating point and debug registers among them, are as it left them.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, register};
use kernel::guest::exit::reason;
use kernel::image::Image;
use kernel::say;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "every answer has arrived", answer, guest::needs_guests),
    ..Image::DEFAULT
});

/// How often the guest asks.
const ROUNDS: u32 = 1000;

vmm::guest_code!(
    code,
    "movl $0x12345678, %eax",
    "movl %eax, %dr0",
    "movl $0x87654321, %eax",
    "movl %eax, %cr2",
    "fninit",
    "fildl 4f - code_start + 0x7c00",
    "movl $0xdddd, %ebp",
    "xorl %edi, %edi", // the sum of all answers
    "xorl %esi, %esi", // the leaf
    "1: movl %esi, %eax",
    "cpuid",
    "addl %eax, %edi",
    "addl %ebx, %edi",
    "addl %ecx, %edi",
    "addl %edx, %edi",
    "incl %esi",
    "cmpl $1000, %esi",
    "jne 1b",
    "movl %dr0, %ebx",
    "fistpl 4f - code_start + 0x7c00 + 4",
    "movl 4f - code_start + 0x7c00 + 4, %ecx",
    "movl %cr2, %edx",
    "2: hlt",
    "jmp 2b",
    "4: .long 424242, 0",
);

/// The answer to a leaf.
fn leaf(leaf: u32) -> [u32; 4] {
    [leaf, leaf ^ 0xffff_0000, leaf.wrapping_mul(3), 0x8000_0000 | leaf]
}

fn answer(guest: &mut Guest) {
    guest.begin(code());
    let (mut asked, mut sum) = (0u32, 0u32);
    loop {
        match guest.run_on() {
            reason::CPUID => {
                assert_eq!((guest.get(register::EAX), guest.get(register::ESI)), (asked, asked));
                let answer = leaf(asked);
                let to = [register::EAX, register::EBX, register::ECX, register::EDX];
                to.into_iter().zip(answer).for_each(|(register, value)| guest.set(register, value));
                sum = answer.into_iter().fold(sum, u32::wrapping_add);
                asked += 1;
                guest.skip();
            }
            reason::HLT => break,
            other => panic!("the guest has exited for reason {other} at {:#x}", guest.get(register::EIP)),
        }
    }
    assert_eq!((asked, guest.get(register::EDI)), (ROUNDS, sum));
    let kept = [register::EBP, register::EBX, register::ECX, register::EDX, register::CR2].map(|r| guest.get(r));
    assert_eq!(kept, [0xDDDD, 0x1234_5678, 424_242, 0x8765_4321, 0x8765_4321]);
    let ticks = guest.least_ticks;
    say!("CPU {}: {asked} leaves; the shortest run took {ticks} ticks", guest.number());
}
