//! On every CPU a guest tries the instructions that could reach the host: each exits, or is an exception in the guest.
//! States and events that the processor refuses are exits, too.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use images::guest::{self, Guest, START, register};
use kernel::guest::exit::{REFUSED, reason};
use kernel::image::Image;
use kernel::say;
use layer::objects::vmx::*;

kernel::image!(Image {
    prepare: guest::prepare,
    start: |hardware| guest::each(hardware, "nothing has passed", attack, guest::needs_guests),
    ..Image::DEFAULT
});

/// What an instruction must lead to.
#[derive(Clone, Copy)]
enum Leads {
    /// An exit with this reason.
    To(u32),
    /// An exit with this reason, or an exception: not every processor has the instruction.
    ToOrException(u32),
    /// An exception.
    Exception,
    /// An exit with one of these reasons: QEMU 7.2 takes INVD for WBINVD.
    ToEither(u32, u32),
}

use Leads::{Exception, To, ToEither, ToOrException};

/// Instructions, each with its name, its bytes, and what it must lead to.
const INSTRUCTIONS: &[(&str, &[u8], Leads)] = &[
    ("hlt", &[0xF4], To(reason::HLT)),
    ("cpuid", &[0x0F, 0xA2], To(reason::CPUID)),
    ("in al, 0x60", &[0xE4, 0x60], To(reason::IO)),
    ("out 0xCF9, al", &[0xBA, 0xF9, 0x0C, 0xEE], To(reason::IO)),
    ("out 0xF4, eax", &[0xBA, 0xF4, 0x00, 0x66, 0xEF], To(reason::IO)),
    ("rep insb", &[0xB9, 4, 0, 0xBF, 0, 0x7D, 0xF3, 0x6C], To(reason::IO)),
    ("outsw", &[0xBE, 0, 0x7D, 0x6F], To(reason::IO)),
    ("rdmsr of the APIC's base", &[0x66, 0xB9, 0x1B, 0, 0, 0, 0x0F, 0x32], To(reason::RDMSR)),
    ("rdmsr of EFER", &[0x66, 0xB9, 0x80, 0, 0, 0xC0, 0x0F, 0x32], To(reason::RDMSR)),
    ("wrmsr of EFER", &[0x66, 0xB9, 0x80, 0, 0, 0xC0, 0x0F, 0x30], To(reason::WRMSR)),
    ("wrmsr of LSTAR", &[0x66, 0xB9, 0x82, 0, 0, 0xC0, 0x0F, 0x30], To(reason::WRMSR)),
    ("wrmsr of no register", &[0x66, 0xB9, 0, 0, 0, 0x40, 0x0F, 0x30], To(reason::WRMSR)),
    ("invd", &[0x0F, 0x08], ToEither(reason::INVD, reason::WBINVD)),
    ("wbinvd", &[0x0F, 0x09], To(reason::WBINVD)),
    ("rdpmc", &[0x66, 0x31, 0xC9, 0x0F, 0x33], ToOrException(reason::RDPMC)),
    ("monitor", &[0x0F, 0x01, 0xC8], ToOrException(reason::MONITOR)),
    ("mwait", &[0x0F, 0x01, 0xC9], ToOrException(reason::MWAIT)),
    ("vmcall", &[0x0F, 0x01, 0xC1], ToOrException(reason::VMCALL)),
    ("vmmcall", &[0x0F, 0x01, 0xD9], ToOrException(reason::VMCALL)),
    ("xsetbv", &[0x0F, 0x01, 0xD1], ToOrException(reason::XSETBV)),
    ("vmrun", &[0x0F, 0x01, 0xD8], ToOrException(reason::VMLAUNCH)),
    ("vmload", &[0x0F, 0x01, 0xDA], ToOrException(reason::VMPTRLD)),
    ("vmsave", &[0x0F, 0x01, 0xDB], ToOrException(reason::VMPTRST)),
    ("stgi", &[0x0F, 0x01, 0xDC], ToOrException(reason::VMXON)),
    ("clgi", &[0x0F, 0x01, 0xDD], ToOrException(reason::VMXOFF)),
    ("vmxoff", &[0x0F, 0x01, 0xC4], ToOrException(reason::VMXOFF)),
    ("getsec", &[0x0F, 0x37], ToOrException(reason::GETSEC)),
    ("rsm", &[0x0F, 0xAA], Exception),
    ("syscall", &[0x0F, 0x05], Exception),
    ("sysenter", &[0x0F, 0x34], Exception),
    ("ud2", &[0x0F, 0x0B], Exception),
];

fn attack(guest: &mut Guest) {
    for &(name, bytes, leads) in INSTRUCTIONS {
        let mut code = [0xF4; 64]; // hlt: an instruction that has passed is seen
        code[..bytes.len()].copy_from_slice(bytes);
        guest.begin(&code);
        let reason = guest.run_on();
        // The table of handlers is not there: an exception is an access to it.
        let address = vmx_get_exit_fault_addr(guest.cpu).expect("after `vmx_init`");
        let exception = reason == reason::NESTED_FAULT && address < 4 * 32 && address % 4 == 0;
        let as_expected = match leads {
            To(expected) => reason == expected,
            ToOrException(expected) => reason == expected || exception,
            Exception => exception,
            ToEither(one, other) => [one, other].contains(&reason),
        };
        let at = guest.get(register::EIP);
        assert!(as_expected, "{name}: reason {reason}, address {address:#x}, at {at:#x}");
        assert!(at < START + bytes.len() as u32, "{name} has passed: the guest is at {at:#x}");
    }
    // A processor without caches that writes through them, and flags without the bit that is always set.
    guest.begin(&[0xF4]);
    guest.set(register::CR0, 0x2000_0010);
    guest.set(register::EFLAGS, 0);
    assert_eq!(guest.run(), REFUSED & 0xffff);
    assert_eq!(guest.run(), REFUSED & 0xffff, "and it stays refused");
    // An event of a kind that does not exist. The processor refuses it, or ignores it.
    guest.begin(&[0xF4]);
    vmx_inject_event(guest.cpu, 1 << 8, 0xFF, 0, 0).expect("after `vmx_init`");
    let reason = guest.run_on();
    assert!(reason == REFUSED & 0xffff || reason == reason::HLT, "reason {reason}");
    guest.begin(&[0xF4]);
    assert_eq!(guest.run_on(), reason::HLT, "the next virtual machine runs");
    say!("CPU {}: {} instructions tried", guest.number(), INSTRUCTIONS.len());
}
