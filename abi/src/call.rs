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
    /// Writes bytes of the caller's memory to the console, at most to the end of the page that contains `address`, and
    /// returns the number of bytes written. A page that the caller has not touched yet is reserved.
    0 Puts = "puts" (address, length) -> "written",
    touches "the caller's page map and quota, if a page is reserved", errors [InvalAddr, Mem];

    /// Starts program `image` of the boot archive with `quota` pages of the caller's own, and returns the child's
    /// thread number. If `arguments` is not 0, the caller's page at this address is copied for the child. The child has
    /// the copy read-only at `abi::arguments::ARGUMENTS`, and pays for it.
    2 Spawn = "spawn" (image, quota, arguments) -> "child",
    touches "the child, the caller's quota and its count of children, the ready queue", errors [InvalId, InvalAddr, Mem];

    /// Lets the next ready thread of this CPU run.
    3 Yield = "yield" () -> "",
    touches "which thread runs on this CPU", errors [];

    /// Sends the first words of the caller's page at `address`, at most 1024, as a message on the channel, as soon as
    /// the channel has room for one; returns the number of words sent. A page that the caller has not touched yet is
    /// reserved.
    8 Send = "send" (channel, address, words) -> "sent",
    touches "the channel and its message, its queue, the caller's page map and quota, if a page is reserved",
    errors [InvalChid, InvalAddr, Mem];

    /// Copies the first words of the channel's message to the caller's page at `address`, and returns how many; the
    /// rest of the message is lost. If there is no message, the caller waits for one unless `wait` is 0. A page that
    /// the caller has not touched yet is reserved.
    9 Recv = "recv" (channel, address, words, wait) -> "received",
    touches "the channel, its queue, the caller's page, its page map and quota, if a page is reserved",
    errors [Ipc, InvalChid, InvalAddr, Mem];

    /// Returns how many pages the caller may still obtain.
    26 GetQuota = "get_quota" () -> "pages",
    touches "nothing", errors [];

    /// Writes one byte to the console, by way of the serial port of the caller's CPU.
    32 Putc = "putc" (byte) -> "byte",
    touches "the console", errors [SendFail, NoDevice];

    /// Ends the caller; never returns.
    33 Exit = "exit" (status) -> "",
    touches "the caller's page map and quota, its children, and which thread runs on this CPU", errors [];

    /// Returns the oldest byte of the console's input that no program has read, by way of the serial port of the
    /// caller's CPU.
    34 Getc = "getc" () -> "byte",
    touches "the console", errors [NoChar, NoDevice];

    /// Returns, for a thread of the caller's CPU: the number of its `ThreadState`; the number of its program in the
    /// boot archive, or 2^32 - 1; its quota in pages; how many of these it uses, its children's quotas included; and
    /// the most children that it has had at a time.
    35 ThreadInfo = "thread_info" (thread) -> "state, image, quota, usage, children",
    touches "nothing", errors [InvalId];

    /// Returns the milliseconds since the machine was switched on, modulo 2^32.
    36 Uptime = "uptime" () -> "milliseconds",
    touches "nothing", errors [];

    /// Waits for the end of child `child`, or of any child if `child` is 0. Returns the number of the child, its exit
    /// status, and the number of a `Cause`. The child's quota is the caller's again, and the caller can start another
    /// child. If the child has not ended, the caller waits for its end, unless `wait` is 0. A child has ended only when
    /// all its descendants have ended.
    37 Wait = "wait" (child, wait) -> "child, status, cause",
    touches "the child, the caller's quota, which thread runs on this CPU", errors [InvalId, Ipc];

    /// Ends a child and all its descendants. They end when they get their next turns: `wait` returns the
    /// child when all have ended.
    38 Kill = "kill" (child) -> "",
    touches "the child, and the threads that sleep on the same channel", errors [InvalId];

    /// Returns the caller's thread number, its CPU's number, and the thread number of its parent.
    39 WhoAmI = "who_am_i" () -> "thread, cpu, parent",
    touches "nothing", errors [];
}
