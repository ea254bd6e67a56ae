//! Translates SVM's exits and events to VT-x's.

use crate::cpu::vectors;
use crate::guest::exit::{Event, Exit, REFUSED, io_qualification, nested, reason};

/// What a VMCB says about an exit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// EXITCODE.
    pub code: u64,
    /// EXITINFO1.
    pub info_1: u64,
    /// EXITINFO2.
    pub info_2: u64,
    /// EXITINTINFO.
    pub event: u64,
    /// RIP.
    pub rip: u64,
    /// The address of the next instruction, if the processor reports it.
    pub next_rip: Option<u64>,
}

/// The low half of the code of an entry that the processor has refused; QEMU 7.2 leaves the upper half 0.
const INVALID: u32 = u32::MAX;
/// The first code of an exception.
const EXCEPTIONS: u64 = 0x40;
const MACHINE_CHECK: u64 = EXCEPTIONS + vectors::MACHINE_CHECK as u64;
const TASK_SWITCH: u64 = 0x7D;
const IO: u64 = 0x7B;
const MSR: u64 = 0x7C;
const NESTED_FAULT: u64 = 0x400;

/// Codes, the reasons that VT-x has for them, and the length of the instruction without prefixes. Instructions of SVM
/// that VT-x does not have get the reason of VT-x's instruction of the same use.
const REASONS: [(u64, u32, u64); 26] = [
    (0x60, reason::INTERRUPT, 0),
    (0x61, reason::EXCEPTION, 0), // NMI: the host takes it as soon as it can
    (0x62, reason::SMI, 0),
    (0x63, reason::INIT, 0),
    (0x64, reason::INTERRUPT_WINDOW, 0),
    (0x6F, reason::RDPMC, 2),
    (0x72, reason::CPUID, 2),
    (0x76, reason::INVD, 2),
    (0x78, reason::HLT, 1),
    (0x7A, reason::INVVPID, 3), // INVLPGA
    (0x7F, reason::TRIPLE_FAULT, 0),
    (0x80, reason::VMLAUNCH, 3), // VMRUN
    (0x81, reason::VMCALL, 3),   // VMMCALL
    (0x82, reason::VMPTRLD, 3),  // VMLOAD
    (0x83, reason::VMPTRST, 3),  // VMSAVE
    (0x84, reason::VMXON, 3),    // STGI
    (0x85, reason::VMXOFF, 3),   // CLGI
    (0x86, reason::GETSEC, 3),   // SKINIT
    (0x87, reason::RDTSCP, 3),
    (0x89, reason::WBINVD, 2),
    (0x8A, reason::MONITOR, 3),
    (0x8B, reason::MWAIT, 3),
    (0x8C, reason::MWAIT, 3),
    (0x8D, reason::XSETBV, 3),
    (MSR, reason::RDMSR, 2),
    (TASK_SWITCH, reason::TASK_SWITCH, 0),
];

/// The exit that this report is about.
pub fn translate(report: Report) -> Exit {
    let Report { code, info_1, info_2, rip, .. } = report;
    let length = |known: u64| report.next_rip.map_or(known, |next| next.wrapping_sub(rip));
    let row = REASONS.iter().find(|row| row.0 == code);
    let mut exit = match (code, row) {
        _ if code as u32 == INVALID => Exit { reason: REFUSED, ..Exit::default() },
        (IO, _) => {
            let bytes = (info_1 >> 4 & 7) as u8;
            let [reads, string, repeated] = [0, 2, 3].map(|bit| info_1 >> bit & 1 == 1);
            let qualification = io_qualification((info_1 >> 16) as u16, bytes.max(1), reads, string, repeated);
            // For this exit every processor reports the next instruction.
            Exit { reason: reason::IO, qualification, length: info_2.wrapping_sub(rip), ..Exit::default() }
        }
        (NESTED_FAULT, _) => {
            Exit { reason: reason::NESTED_FAULT, qualification: access(info_1), address: info_2, ..Exit::default() }
        }
        (MACHINE_CHECK, _) => {
            Exit { reason: reason::EXCEPTION, for_host: Some(vectors::MACHINE_CHECK), ..Exit::default() }
        }
        (MSR, _) => {
            let reason = if info_1 & 1 == 1 { reason::WRMSR } else { reason::RDMSR };
            Exit { reason, length: length(2), ..Exit::default() }
        }
        (TASK_SWITCH, _) => {
            Exit { reason: reason::TASK_SWITCH, qualification: task(info_1, info_2, report.event), ..Exit::default() }
        }
        (_, Some(&(_, reason, bytes))) => {
            let length = if bytes == 0 { 0 } else { length(bytes) };
            Exit { reason, length, ..Exit::default() }
        }
        (_, None) => Exit { reason: reason::OTHER, qualification: code, ..Exit::default() },
    };
    exit.event = interrupted(report.event);
    exit
}

/// The qualification of a nested-page fault with SVM's error code.
fn access(error: u64) -> u64 {
    use vectors::page_fault::{FETCH, PRESENT, WRITE};
    const FINAL: u64 = 1 << 32;
    let mut qualification = match error {
        error if error & FETCH != 0 => nested::FETCH,
        error if error & WRITE != 0 => nested::WRITE,
        _ => nested::READ,
    };
    for (bit, meaning) in [(PRESENT, nested::RIGHTS), (FINAL, nested::FINAL)] {
        if error & bit != 0 {
            qualification |= meaning;
        }
    }
    qualification | nested::LINEAR
}

/// The qualification of a task switch: selector, and source (0 CALL, 1 IRET, 2 JMP, 3 a gate).
fn task(info_1: u64, info_2: u64, event: u64) -> u64 {
    const IRET: u64 = 1 << 36;
    const JMP: u64 = 1 << 38;
    let source = match () {
        () if info_2 & IRET != 0 => 1,
        () if info_2 & JMP != 0 => 2,
        () if event >> 31 & 1 == 1 => 3,
        () => 0,
    };
    info_1 & 0xffff | source << 30
}

/// The event whose delivery was interrupted. SVM's format is VT-x's, with the error code above. An event that an
/// instruction raised is left out: RIP is that of the instruction, which the guest executes again.
fn interrupted(event: u64) -> Option<Event> {
    let event = Event { info: event as u32 & 0x8000_0FFF, error: (event >> 32) as u32, length: 0 };
    (event.is_valid() && !event.is_software()).then_some(event)
}

/// The event that the next entry delivers, in SVM's format. VT-x's types of software exceptions are exceptions.
pub fn injected(event: Event) -> u64 {
    const EXCEPTION: u32 = 3 << 8;
    let kind = match event.info & Event::TYPE {
        kind if kind == Event::SOFTWARE[1] || kind == Event::SOFTWARE[2] => EXCEPTION,
        kind => kind,
    };
    let error = if event.info & Event::HAS_ERROR != 0 { event.error } else { 0 };
    u64::from(event.info & !Event::TYPE | kind) | u64::from(error) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_exit_has_vt_xs_qualification() {
        // out dx, al with port 0x3F8, then rep insw with port 0x1F0.
        let exit = translate(Report { code: IO, info_1: 0x3F8_0010, info_2: 0x7C02, rip: 0x7C01, ..Report::default() });
        assert_eq!((exit.reason, exit.qualification, exit.length), (30, 0x3F8_0000, 1));
        let info_1 = 0x1F0 << 16 | 1 << 5 | 1 << 3 | 1 << 2 | 1;
        let exit = translate(Report { code: IO, info_1, info_2: 0x7C02, rip: 0x7C00, ..Report::default() });
        assert_eq!((exit.qualification, exit.length), (0x1F0_0000 | 1 << 5 | 1 << 4 | 1 << 3 | 1, 2));
    }

    #[test]
    fn faults_say_what_was_tried_and_where() {
        let exit = translate(Report { code: 0x400, info_1: 1 << 32 | 6, info_2: 0xB_8000, ..Report::default() });
        assert_eq!((exit.reason, exit.address, exit.qualification), (48, 0xB_8000, 0x182));
        let exit = translate(Report { code: 0x400, info_1: 1 << 33 | 0x15, ..Report::default() });
        assert_eq!(exit.qualification, 0xBC, "a fetch from a page that is there");
    }

    #[test]
    fn every_code_has_one_reason() {
        for (index, row) in REASONS.iter().enumerate() {
            assert!(REASONS[..index].iter().all(|other| other.0 != row.0), "{:#x}", row.0);
        }
        for code in [u64::MAX, INVALID.into()] {
            assert_eq!(translate(Report { code, ..Report::default() }), Exit::refused(0));
        }
        let unknown = translate(Report { code: 0x401, ..Report::default() });
        assert_eq!((unknown.reason, unknown.qualification), (reason::OTHER, 0x401));
        let write = translate(Report { code: MSR, info_1: 1, ..Report::default() });
        assert_eq!((write.reason, write.length), (32, 2));
        let next = translate(Report { code: 0x72, rip: 10, next_rip: Some(13), ..Report::default() });
        assert_eq!((next.reason, next.length), (10, 3), "with a prefix");
    }

    #[test]
    fn a_machine_check_is_the_hosts() {
        let exit = translate(Report { code: MACHINE_CHECK, ..Report::default() });
        assert_eq!((exit.reason, exit.for_host), (reason::EXCEPTION, Some(18)));
        let nmi = translate(Report { code: 0x61, ..Report::default() });
        assert_eq!((nmi.reason, nmi.for_host), (reason::EXCEPTION, None), "the processor itself raises it in the host");
    }

    #[test]
    fn events_keep_their_error_codes() {
        let fault = 0x8000_0B0E | 5 << 32;
        let event = translate(Report { code: 0x400, event: fault, ..Report::default() }).event;
        assert_eq!(event, Some(Event { info: 0x8000_0B0E, error: 5, length: 0 }));
        assert_eq!(event.map(injected), Some(fault));
        let software = translate(Report { code: 0x400, event: 0x8000_0421, ..Report::default() });
        assert_eq!(software.event, None);
        assert_eq!(injected(Event { info: 0x8000_0603, error: 9, length: 1 }), 0x8000_0303);
    }
}
