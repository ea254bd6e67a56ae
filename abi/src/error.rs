//! The error numbers of system calls.

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)*) => {
        /// The result of a system call, in RAX.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum Error { $($(#[doc = $doc])+ $name = $number,)* }

        impl Error {
            /// Every error, in the order of its number.
            pub const ALL: &[Error] = &[$(Error::$name,)*];

            /// The error with this number.
            pub fn from_number(number: u32) -> Option<Error> {
                match number { $($number => Some(Error::$name),)* _ => None }
            }

            /// The meaning of this error.
            pub const fn description(self) -> &'static str {
                match self { $(Error::$name => concat!($($doc),+).trim_ascii_start(),)* }
            }
        }
    };
}

errors! {
    /// Done.
    Succ = 0,
    /// No quota, no child slot or no thread number is left.
    Mem = 1,
    /// The call would have to wait, and the caller has asked not to wait.
    Ipc = 2,
    /// There is no system call with this number.
    InvalCallnr = 3,
    /// An address outside the user window or the guest's memory, an address at which the call's buffer is not allowed,
    /// or an address of a guest that does not fit 32 bits.
    InvalAddr = 4,
    /// A guest has no register with this number.
    InvalReg = 6,
    /// A guest has no segment with this number.
    InvalSeg = 7,
    /// There is no event with this type and vector.
    InvalEvent = 8,
    /// The virtual machine of the caller's CPU is not the caller's.
    InvalHvm = 10,
    /// There is no channel with this number.
    InvalChid = 11,
    /// There is no program with this number in the boot archive, or no thread on the caller's CPU.
    InvalId = 12,
    /// There is nothing to read. (The reference gives this error and the next one the numbers 1 and 2, which
    /// other errors have.)
    NoChar = 32,
    /// The serial port does not transmit.
    SendFail = 33,
    /// The caller's CPU has no serial port (P39).
    NoDevice = 34,
    /// The caller's CPU cannot run guests.
    NoGuests = 35,
    /// The virtual machine of the caller's CPU belongs to a process already.
    Busy = 36,
}
