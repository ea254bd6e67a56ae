//! The table of system calls. Numbers, dispatch, library and documentation are made from it.
use crate::Error;

/// The table's row of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallRow {
    /// Its name.
    pub name: &'static str,
    /// The names of its arguments, in the order of the convention's registers.
    pub arguments: &'static [&'static str],
    /// The name of its result; empty if it has none.
    pub result: &'static str,
    /// What the call does.
    pub description: &'static str,
    /// What the call may change besides the caller's registers, in the words of the proved modifies clause.
    pub touches: &'static str,
    /// The errors with which the call can be refused.
    pub errors: &'static [Error],
}

macro_rules! calls {
    ($(
        $(#[doc = $doc:literal])+
        $number:literal $name:ident = $word:literal ($($argument:ident),*) -> $result:literal,
        touches $touches:literal, errors [$($error:ident),*];
    )*) => {
        /// The system calls, by number.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum Call { $($(#[doc = $doc])+ $name = $number,)* }

        impl Call {
            /// Every call, in the order of its number.
            pub const ALL: &[Call] = &[$(Call::$name,)*];

            /// The table's row of this call.
            pub const fn row(self) -> CallRow {
                match self {
                    $(Call::$name => CallRow {
                        name: $word,
                        arguments: &[$(stringify!($argument)),*],
                        result: $result,
                        description: concat!($($doc),+).trim_ascii_start(),
                        touches: $touches,
                        errors: &[$(Error::$error),*],
                    },)*
                }
            }
        }
    };
}

calls! {
    /// Writes bytes of the caller's memory to the console, at most to the end of the page that `address` lies in, and gives
    /// how many. A page that the caller has not touched yet is reserved.
    0 Puts = "puts" (address, length) -> "written",
    touches "the caller's page map and quota, if a page is reserved", errors [InvalAddr, Mem];

    /// Starts program `image` of the boot archive with `quota` pages of the caller's own, and gives the child's thread number.
    /// The caller's page at `arguments` is copied for the child, which has it read-only at `abi::arguments::ARGUMENTS` and pays
    /// for it; where `arguments` is 0, it has none.
    2 Spawn = "spawn" (image, quota, arguments) -> "child",
    touches "the child, the caller's quota and its count of children, the ready queue", errors [InvalId, InvalAddr, Mem];

    /// Lets the next ready thread of this CPU run.
    3 Yield = "yield" () -> "",
    touches "who runs on this CPU", errors [];

    /// The first words of the caller's page at `address`, at most 1024, become the message of the channel, as soon as there
    /// is room for one; gives how many. A page that the caller has not touched yet is reserved.
    8 Send = "send" (channel, address, words) -> "sent",
    touches "the channel and its message, its queue, the caller's page map and quota, if a page is reserved",
    errors [InvalChid, InvalAddr, Mem];

    /// The first words of the channel's message go to the caller's page at `address`, and the rest of it is lost; gives how
    /// many. Where there is no message, the caller waits for one unless `wait` is 0. A page that the caller has not touched
    /// yet is reserved.
    9 Recv = "recv" (channel, address, words, wait) -> "received",
    touches "the channel, its queue, the caller's page, its page map and quota, if a page is reserved",
    errors [Ipc, InvalChid, InvalAddr, Mem];

    /// How many pages the caller may still obtain.
    26 GetQuota = "get_quota" () -> "pages",
    touches "nothing", errors [];

    /// Writes one byte to the console, by way of the serial port of the caller's CPU.
    32 Putc = "putc" (byte) -> "byte",
    touches "the console", errors [SendFail, NoDevice];

    /// Ends the caller; never returns.
    33 Exit = "exit" (status) -> "",
    touches "the caller's page map and quota, its children, and who runs on this CPU", errors [];

    /// Gives the oldest byte of the console's input that nobody has read, by way of the serial port of the caller's CPU.
    34 Getc = "getc" () -> "byte",
    touches "the console", errors [NoChar, NoDevice];

    /// Gives what a thread of the caller's CPU does, by the number of a `ThreadState`; the number of its program in the boot
    /// archive, or 2^32 - 1; the pages that it may use, and those that it uses, its children's quotas included; and how many
    /// programs it has started.
    35 ThreadInfo = "thread_info" (thread) -> "state, image, quota, usage, children",
    touches "nothing", errors [InvalId];

    /// Gives for how many milliseconds the machine has been on, modulo 2^32.
    36 Uptime = "uptime" () -> "milliseconds",
    touches "nothing", errors [];

    /// Gives the number of a child that has ended, what it passed, and the number of a `Cause`; of child `child`, or of any where it
    /// is 0. What it was given is the caller's again, and the caller can start another. Where the child has not ended, the
    /// caller waits until it has unless `wait` is 0. A child has ended when all that descend from it have.
    37 Wait = "wait" (child, wait) -> "child, status, cause",
    touches "the child, the caller's quota, who runs on this CPU", errors [InvalId, Ipc];

    /// Ends a child and all that descend from it. It takes their turns to end: `wait` says when they have.
    38 Kill = "kill" (child) -> "",
    touches "the child, and whoever sleeps on the same channel", errors [InvalId];

    /// Gives the caller's thread number, that of its CPU, and that of its parent's thread.
    39 WhoAmI = "who_am_i" () -> "thread, cpu, parent",
    touches "nothing", errors [];
}
