//! The qualifications are put together by the SDM's tables.
extern crate std;
use super::*;
use proptest::prelude::*;
use std::string::ToString;

#[test]
fn io_qualifications_are_read() {
    // Bits 2 to 0: size less one. 3: in. 4: string. 5: rep. 6: immediate. 31 to 16: port.
    let exits = [
        (0x03F8_0000, "exit 30 (I/O instruction): out, 1 byte, port 0x3f8 (in DX)"),
        (0x0071_0048, "exit 30 (I/O instruction): in, 1 byte, port 0x71 (immediate)"),
        (0x01F0_0039, "exit 30 (I/O instruction): rep ins, 2 bytes, port 0x1f0 (in DX)"),
        (0xFFFF_0013, "exit 30 (I/O instruction): outs, 4 bytes, port 0xffff (in DX)"),
    ];
    for (qualification, text) in exits {
        assert_eq!(Exit::decode(30, qualification).to_string(), text);
    }
    let io = Io { port: 0x1F0, size: Size::Word, input: true, string: true, repeated: true, immediate: false };
    assert_eq!(Exit::decode(30, 0x01F0_0039), Exit::Io(io));
    assert_eq!(Exit::decode(30, 2), Exit::Plain(Reason(30)), "three bytes");
}

#[test]
fn control_register_qualifications_are_read() {
    // Bits 3 to 0: the register. 5 and 4: to, from, CLTS, LMSW. 6: memory. 11 to 8: general. 31 to 16: LMSW's operand.
    let exits = [
        (0x0000, "exit 28 (control-register access): mov to CR0 from RAX"),
        (0x0304, "exit 28 (control-register access): mov to CR4 from RBX"),
        (0x0F18, "exit 28 (control-register access): mov from CR8 to R15"),
        (0x0020, "exit 28 (control-register access): clts"),
        (0x000B_0030, "exit 28 (control-register access): lmsw 0xb from a register"),
        (0xFFF1_0070, "exit 28 (control-register access): lmsw 0xfff1 from memory"),
    ];
    for (qualification, text) in exits {
        assert_eq!(Exit::decode(28, qualification).to_string(), text);
    }
}

#[test]
fn ept_qualifications_are_read() {
    // Bits 0 to 2: the access. 3 to 5: what is admitted. 7: a linear address. 8: its translation.
    let exits = [
        (0x001, "exit 48 (EPT violation): read where the tables admit nothing"),
        (0x18A, "exit 48 (EPT violation): write where the tables admit read, at a translated address"),
        (
            0x09C,
            "exit 48 (EPT violation): execute where the tables admit read+write, at an entry of the guest's tables",
        ),
        (0x183, "exit 48 (EPT violation): read+write where the tables admit nothing, at a translated address"),
    ];
    for (qualification, text) in exits {
        assert_eq!(Exit::decode(48, qualification).to_string(), text);
    }
}

#[test]
fn other_reasons_have_their_names() {
    let exits = [
        (0, "exit 0 (exception or non-maskable interrupt)"),
        (2, "exit 2 (triple fault)"),
        (7, "exit 7 (interrupt window)"),
        (10, "exit 10 (CPUID)"),
        (12, "exit 12 (HLT)"),
        (31, "exit 31 (RDMSR)"),
        (52, "exit 52 (VMX-preemption timer expired)"),
        (35, "exit 35 (unknown)"),
        (0x8000_0021, "failed entry, exit 33 (VM-entry failure due to invalid guest state)"),
        (0x8000_0022, "failed entry, exit 34 (VM-entry failure due to MSR loading)"),
    ];
    for (reason, text) in exits {
        assert_eq!(Exit::decode(reason, 0).to_string(), text);
    }
    assert_eq!((Reason::HLT, Reason::EPT_VIOLATION, Reason::XSETBV), (Reason(12), Reason(48), Reason(55)));
}

proptest! {
    #[test]
    fn any_numbers_are_an_exit(reason in any::<u32>(), qualification in any::<u64>()) {
        let exit = Exit::decode(reason, qualification);
        prop_assert_eq!(exit.reason(), Reason(reason as u16));
        prop_assert!(!exit.to_string().is_empty());
    }
}

#[test]
fn exits_are_counted_by_reason() {
    let mut exits = Exits::NONE;
    assert_eq!(exits.to_string(), "0 exits");
    for reason in [Reason::HLT, Reason::IO, Reason::HLT, Reason(0xFFFF), Reason::WRMSRLIST] {
        exits.count(reason);
    }
    assert_eq!((exits.of(Reason::HLT), exits.of(Reason::WRMSRLIST), exits.total()), (2, 1, 5));
    assert_eq!(exits.to_string(), "5 exits (2 HLT, 1 I/O instruction, 1 WRMSRLIST, 1 other)");
}
