//! The console's line for the end of a program. The kernel and the hosted machine write it, and checkers of a run read
//! it.
//!
//! ```text
//! cairn: CPU 3: thread 40 (wild) stopped: divide error at 0x40000123 (rip 0x40000123)
//! cairn: CPU 0: thread 9 (hello) exited with status 0
//! cairn: CPU 0: thread 10 (hello) killed
//! ```

use core::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// The reason for which the kernel stopped a program.
        ///
        /// Below 32, the number is that of the processor's exception.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u32)]
        pub enum Reason { $($(#[$doc])* $name = $number,)* }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The reason with this number.
            pub const fn from_number(number: u32) -> Option<Reason> {
                match number { $($number => Some(Reason::$name),)* _ => None }
            }

            /// Its text on the console and in manifests.
            pub const fn text(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// A division by zero, or a quotient that does not fit.
    DivideError = 0 "divide error",
    /// The trap flag, or `int1`.
    Debug = 1 "debug exception",
    /// `int3`; RIP is after the instruction.
    Breakpoint = 3 "breakpoint",
    /// `into`, which has no 64-bit encoding: from `int 4` where the kernel's gate allows it.
    Overflow = 4 "overflow",
    /// `bound`, which has no 64-bit encoding: from `int 5` where the kernel's gate allows it.
    BoundRange = 5 "bound range exceeded",
    /// An instruction that does not exist, or `ud2`.
    InvalidOpcode = 6 "invalid opcode",
    /// A floating-point instruction while the kernel has the unit switched off.
    DeviceNotAvailable = 7 "device not available",
    /// A segment register loaded with an absent segment.
    SegmentNotPresent = 11 "segment not present",
    /// A non-canonical address used with RSP or RBP.
    StackFault = 12 "stack fault",
    /// A privileged instruction, a non-canonical address, a misaligned SSE operand.
    GeneralProtection = 13 "general protection",
    /// An unmasked x87 exception.
    X87FloatingPoint = 16 "x87 floating-point exception",
    /// A misaligned access while RFLAGS.AC is set.
    AlignmentCheck = 17 "alignment check",
    /// An unmasked SSE exception.
    SimdFloatingPoint = 19 "SIMD floating-point exception",
    /// A page of the window touched for the first time, and no quota for it.
    OutOfQuota = 32 "out of quota",
    /// An access that the permissions of a mapped page forbid (P41 of the reference).
    ProtectionFault = 33 "protection fault",
    /// An address outside the user window.
    BadAddress = 34 "bad address",
    /// An instruction that processors have and the hosted machine does not.
    Unimplemented = 64 "instruction not implemented",
}

impl Reason {
    /// The reason with this text.
    pub fn from_text(text: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.text() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It called `exit`.
    Exited {
        /// The exit status.
        status: u32,
    },
    /// The kernel stopped it.
    Stopped {
        /// The reason.
        reason: Reason,
        /// The address that it accessed or, if the exception has no address, `rip`.
        address: u64,
        /// Address of the instruction, as the processor reports it.
        rip: u64,
    },
    /// Its parent or a more distant ancestor killed it.
    Killed,
}

/// A program's end, as one line of the console (without the line feed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended<'a> {
    /// The CPU on which it ran.
    pub cpu: u32,
    /// Its thread number.
    pub thread: u32,
    /// Its name in the boot archive.
    pub name: &'a str,
    /// The kind of its end.
    pub end: End,
}

impl fmt::Display for Ended<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Ended { cpu, thread, name, end } = self;
        write!(formatter, "cairn: CPU {cpu}: thread {thread} ({name}) ")?;
        match end {
            End::Exited { status } => write!(formatter, "exited with status {status}"),
            End::Stopped { reason, address, rip } => {
                write!(formatter, "stopped: {reason} at {address:#x} (rip {rip:#x})")
            }
            End::Killed => formatter.write_str("killed"),
        }
    }
}

impl<'a> Ended<'a> {
    /// Reads a console line; `None` if it does not report a program's end.
    pub fn parse(line: &'a str) -> Option<Ended<'a>> {
        let rest = line.strip_prefix("cairn: CPU ")?;
        let (cpu, rest) = rest.split_once(": thread ")?;
        let (thread, rest) = rest.split_once(" (")?;
        let (name, rest) = rest.split_once(") ")?;
        let end = match rest.strip_prefix("exited with status ") {
            Some(status) => End::Exited { status: status.parse().ok()? },
            None if rest == "killed" => End::Killed,
            None => {
                let (reason, rest) = rest.strip_prefix("stopped: ")?.split_once(" at ")?;
                let (address, rip) = rest.strip_suffix(')')?.split_once(" (rip ")?;
                End::Stopped {
                    reason: Reason::from_text(reason)?,
                    address: hexadecimal(address)?,
                    rip: hexadecimal(rip)?,
                }
            }
        };
        Some(Ended { cpu: cpu.parse().ok()?, thread: thread.parse().ok()?, name, end })
    }
}

/// Reads a number as `{:#x}` writes it.
fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{End, Ended, Reason};
    use std::string::ToString;

    #[test]
    fn reasons_have_distinct_numbers_and_texts() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason as u32), Some(reason));
            assert_eq!(Reason::from_text(reason.text()), Some(reason));
        }
        assert_eq!(Reason::from_number(2), None);
        assert_eq!(Reason::from_text("bad luck"), None);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let exited = End::Exited { status: u32::MAX };
        let ends = Reason::ALL.iter().map(|&reason| End::Stopped { reason, address: u64::MAX, rip: 0x4000_0123 });
        for end in ends.chain([exited, End::Killed]) {
            let ended = Ended { cpu: 7, thread: 1023, name: "wild", end };
            assert_eq!(Ended::parse(&ended.to_string()), Some(ended));
        }
    }

    #[test]
    fn the_lines_read_as_documented() {
        let end = End::Stopped { reason: Reason::DivideError, address: 0x4000_0123, rip: 0x4000_0123 };
        let line = Ended { cpu: 3, thread: 40, name: "wild", end }.to_string();
        assert_eq!(line, "cairn: CPU 3: thread 40 (wild) stopped: divide error at 0x40000123 (rip 0x40000123)");
        let line = Ended { cpu: 0, thread: 9, name: "hello", end: End::Exited { status: 0 } }.to_string();
        assert_eq!(line, "cairn: CPU 0: thread 9 (hello) exited with status 0");
    }

    #[test]
    fn other_lines_are_not_ends() {
        for line in [
            "",
            "cairn: 8 CPUs",
            "hello",
            "cairn: CPU x: thread 9 (hello) exited with status 0",
            "cairn: CPU 0: thread 9 (hello) exited with status",
            "cairn: CPU 0: thread 9 (hello) exited with status 4294967296",
            "cairn: CPU 0: thread 9 (hello) stopped: bad luck at 0x0 (rip 0x0)",
            "cairn: CPU 0: thread 9 (hello) stopped: debug exception at 0 (rip 0x0)",
            "cairn: CPU 0: thread 9 (hello) stopped: debug exception at 0x0 (rip 0x0",
        ] {
            assert_eq!(Ended::parse(line), None, "{line}");
        }
    }
}
