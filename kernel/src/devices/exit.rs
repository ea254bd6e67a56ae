//! Why an image ended: the image writes these numbers to the emulator's exit device, and the command
//! line reads them back.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why an image ended. The number is what [`Reason::code`] writes to the exit device.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $code,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The reason as text, as the command line prints it.
            pub fn text(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The image has finished its task.
    Done = 0x10, "ended as expected";
    /// `panic!`: the kernel is in a state that must not occur.
    Panic = 0x11, "kernel panic";
    /// An exception in ring 0.
    KernelFault = 0x12, "exception in the kernel";
    /// A non-maskable interrupt from outside: the user wants to know what the machine is doing.
    Interrupted = 0x13, "stopped from outside";
    /// Something went wrong while a report was being written.
    ReportFault = 0x14, "exception during a report";
    /// The kernel cannot run on this machine.
    Refused = 0x16, "the machine was refused";
    /// A check of the image itself failed, or a program did not end as expected.
    Failed = 0x15, "a check failed";
}

impl Reason {
    /// The number to write to the exit device.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// QEMU's exit status for this reason: its exit device turns `code` into `code * 2 + 1`.
    pub fn qemu_status(self) -> i32 {
        i32::from(self.code()) * 2 + 1
    }

    /// The reason with this number.
    pub fn from_code(code: u8) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// The reason that an exit status of QEMU stands for, if the status came from the exit device.
    pub fn from_qemu_status(status: i32) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.qemu_status() == status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_distinct_and_distinct_from_qemus_own() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_qemu_status(reason.qemu_status()), Some(*reason));
            assert!(![0, 1].contains(&reason.qemu_status()), "QEMU ends with 0 and 1 itself");
        }
    }
}
